#include "calib/generate.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <memory>
#include <span>

#include "calib/activation_quantizer.h"
#include "calib/forward.h"
#include "datasets/calibration_set.h"

namespace vernier::calib {
namespace {

class Generation {
 public:
  explicit Generation(const GenerateRequest& request)
      : request_(request),
        quantizer_(request.source),
        sequences_(request.prompts),
        found_(request.prompts.size()) {}

  std::vector<Continuation> Run(const std::function<void(size_t, int32_t)>& seen,
                                Progress& progress) {
    const int64_t layers = request_.source.family->Dims().layers;
    progress.BeginPhase("generate", static_cast<double>(layers * request_.tokens));
    for (int64_t step = 0; step < request_.tokens; ++step) {
      const std::vector<size_t> running = Unfinished();
      if (running.empty()) break;
      const std::vector<int32_t> next = NextTokens(running, progress);
      for (size_t i = 0; i < running.size(); ++i) {
        if (Take(running[i], next[i])) seen(running[i], next[i]);
      }
    }
    progress.EndPhase();
    return found_;
  }

 private:
  std::vector<size_t> Unfinished() const {
    std::vector<size_t> running;
    for (size_t i = 0; i < found_.size(); ++i) {
      if (!found_[i].ended) running.push_back(i);
    }
    return running;
  }

  // Whether the token goes on the text.
  bool Take(size_t prompt, int32_t id) {
    found_[prompt].ended = id == request_.eos;
    if (found_[prompt].ended) return false;
    found_[prompt].ids.push_back(id);
    sequences_[prompt].push_back(id);
    return true;
  }

  // The sequences of `running`, padded on the right.
  datasets::CalibrationSet Batch(const std::vector<size_t>& running) const {
    datasets::CalibrationSet batch;
    batch.samples = static_cast<int64_t>(running.size());
    for (const size_t prompt : running) {
      const auto length = static_cast<int32_t>(sequences_[prompt].size());
      batch.lengths.push_back(length);
      batch.sequence_length = std::max<int64_t>(batch.sequence_length, length);
    }
    for (const size_t prompt : running) {
      const std::vector<int32_t>& ids = sequences_[prompt];
      batch.ids.insert(batch.ids.end(), ids.begin(), ids.end());
      batch.ids.resize(batch.ids.size() + static_cast<size_t>(batch.sequence_length) - ids.size());
    }
    return batch;
  }

  std::vector<int32_t> NextTokens(const std::vector<size_t>& running, Progress& progress) {
    const c10::InferenceMode inference;
    const datasets::CalibrationSet tokens = Batch(running);
    const ModelForward forward({.source = request_.source,
                                .compute = request_.compute,
                                .budget = request_.budget,
                                .tokens = tokens,
                                .scratch_directory = request_.scratch_directory});
    Tap nobody;
    Tap& tap = request_.quantize_activations ? quantizer_ : nobody;
    const auto hidden = forward.Run(forward.decoder().Layers(), progress, tap);
    const std::unique_ptr<Head> head = forward.decoder().LoadHead();
    std::vector<int32_t> next;
    for (int64_t sample = 0; sample < tokens.samples; ++sample) {
      const int64_t last = tokens.lengths[static_cast<size_t>(sample)] - 1;
      const at::Tensor state =
          hidden->Get(sample, 1).narrow(1, last, 1).to(forward.loop().device());
      next.push_back(head->Logits(state).argmax().item<int32_t>());
    }
    return next;
  }

  const GenerateRequest& request_;
  ActivationQuantizer quantizer_;
  std::vector<std::vector<int32_t>> sequences_;
  std::vector<Continuation> found_;
};

}  // namespace

std::vector<Continuation> Generate(const GenerateRequest& request,
                                   const std::function<void(size_t, int32_t)>& seen,
                                   Progress& progress) {
  return Generation(request).Run(seen, progress);
}

}  // namespace vernier::calib

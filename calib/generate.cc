#include "calib/generate.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <span>

#include "calib/activation_quantizer.h"
#include "calib/device.h"
#include "calib/forward.h"
#include "calib/requantised_weights.h"
#include "calib/resident_model.h"
#include "datasets/calibration_set.h"

namespace vernier::calib {
namespace {

// The ids of every prompt and of its continuation so far.
using Sequences = std::vector<std::vector<int32_t>>;

// A model in memory, with what attention keeps of every sequence.
class CachedForward {
 public:
  // Advances `progress` by one unit a layer that is loaded.
  CachedForward(const GenerateRequest& request, RequantisedWeights& weights, Progress& progress)
      : batch_size_(static_cast<size_t>(request.budget.batch_size)),
        loader_(request.source, ParseDevice(request.compute.device),
                ToScalarType(request.compute.dtype)),
        substituting_(loader_, weights),
        decoder_(MakeDecoder(loader_)) {
    model_ = ResidentModel::Load(
        *decoder_, request.resident->query_chunk, loader_.device(), [&](int64_t layer) {
          StopIfAsked(progress);
          progress.Advance(1, fmt::format("layer {}/{}", layer + 1, decoder_->Layers()));
        });
    if (!model_) return;
    for (const std::vector<int32_t>& prompt : request.prompts) {
      // Nothing runs behind the last token.
      texts_.push_back(model_->Begin(static_cast<int64_t>(prompt.size()) + request.tokens - 1));
    }
  }

  // The tokens behind the sequences `running`, of which all have run before, or none: prompts run
  // one by one. Nothing when the family cannot go on from a cache, or a hidden state is not finite.
  std::optional<std::vector<int32_t>> Next(const std::vector<size_t>& running,
                                           const Sequences& sequences, Tap& tap) {
    if (!model_) return std::nullopt;
    const size_t at_once = texts_[running.front()].length == 0 ? 1 : batch_size_;
    std::vector<int32_t> next;
    for (size_t first = 0; first < running.size(); first += at_once) {
      const size_t count = std::min(at_once, running.size() - first);
      const auto logits =
          model_->Run(WhatIsNew(std::span(running).subspan(first, count), sequences), tap);
      if (!logits) return std::nullopt;
      const at::Tensor best = logits->argmax(-1).cpu();
      next.insert(next.end(), best.data_ptr<int64_t>(), best.data_ptr<int64_t>() + count);
    }
    return next;
  }

 private:
  std::vector<NewTokens> WhatIsNew(std::span<const size_t> running, const Sequences& sequences) {
    std::vector<NewTokens> tokens;
    for (const size_t prompt : running) {
      GrowingSequence& text = texts_[prompt];
      const std::vector<int64_t> ids(sequences[prompt].begin() + text.length,
                                     sequences[prompt].end());
      tokens.push_back({text, at::tensor(ids, at::kLong)});
    }
    return tokens;
  }

  size_t batch_size_;
  TensorLoader loader_;
  TensorLoader::Substituting substituting_;
  std::unique_ptr<Decoder> decoder_;
  std::unique_ptr<ResidentModel> model_;
  std::vector<GrowingSequence> texts_;
};

class Generation {
 public:
  explicit Generation(const GenerateRequest& request)
      : request_(request),
        quantizer_(request.source, request.expert_input_scale),
        weights_(request.source),
        sequences_(request.prompts),
        found_(request.prompts.size()) {}

  std::vector<Continuation> Run(const std::function<void(size_t, int32_t)>& seen,
                                Progress& progress) {
    const auto layers = static_cast<double>(request_.source.family->Dims().layers);
    progress.BeginPhase("generate", layers * static_cast<double>(request_.tokens));
    if (request_.resident) cached_ = std::make_unique<CachedForward>(request_, weights_, progress);
    for (int64_t step = 0; step < request_.tokens; ++step) {
      const std::vector<size_t> running = Unfinished();
      if (running.empty()) break;
      const std::vector<int32_t> next = NextTokens(running, progress);
      if (cached_ && step > 0) {  // the first took its units as layers were loaded
        progress.Advance(layers, fmt::format("token {}/{}", step + 1, request_.tokens));
      }
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

  std::vector<int32_t> NextTokens(const std::vector<size_t>& running, Progress& progress) {
    Tap nobody;
    Tap& tap = request_.quantize_activations ? quantizer_ : nobody;
    if (cached_) {
      StopIfAsked(progress);
      if (const auto next = cached_->Next(running, sequences_, tap)) return *next;
      cached_.reset();  // layer by layer it is found where a value went bad
    }
    return NextByPass(running, tap, progress);
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

  std::vector<int32_t> NextByPass(const std::vector<size_t>& running, Tap& tap,
                                  Progress& progress) {
    const c10::InferenceMode inference;
    const datasets::CalibrationSet tokens = Batch(running);
    const ModelForward forward({.source = request_.source,
                                .compute = request_.compute,
                                .budget = request_.budget,
                                .tokens = tokens,
                                .scratch_directory = request_.scratch_directory,
                                .weights = &weights_});
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
  RequantisedWeights weights_;
  Sequences sequences_;
  std::vector<Continuation> found_;
  std::unique_ptr<CachedForward> cached_;
};

}  // namespace

std::vector<Continuation> Generate(const GenerateRequest& request,
                                   const std::function<void(size_t, int32_t)>& seen,
                                   Progress& progress) {
  return Generation(request).Run(seen, progress);
}

}  // namespace vernier::calib

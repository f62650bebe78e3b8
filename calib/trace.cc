#include "calib/trace.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "calib/activation_quantizer.h"
#include "calib/eval/token_scores.h"
#include "calib/forward.h"
#include "calib/requantised_weights.h"
#include "checkpoint/safetensors.h"

namespace vernier::calib {
namespace {

// Writes F32 tensors at the places that a layout gave them.
class TraceFile {
 public:
  TraceFile(const std::filesystem::path& path, std::vector<checkpoint::TensorSpec> tensors)
      : path_(path),
        layout_(checkpoint::PlanSafetensors(std::move(tensors), {{"format", "pt"}})),
        file_(File::OpenForWrite(PartialPath(path), /*truncate=*/true)) {
    file_.Preallocate(layout_.file_bytes);
    file_.WriteAt(0, std::as_bytes(std::span(layout_.prefix)));
  }

  // Writes `values`, the samples from `first_sample` on of tensor `name` [samples, ...].
  void Write(std::string_view name, int64_t first_sample, const at::Tensor& values) {
    const at::Tensor host = values.to(at::kCPU, at::kFloat).contiguous();
    const auto at = std::ranges::find(layout_.tensors, name, &checkpoint::TensorInfo::name);
    const uint64_t sample_bytes = at->Bytes() / static_cast<uint64_t>(at->shape[0]);
    file_.WriteAt(at->begin + static_cast<uint64_t>(first_sample) * sample_bytes,
                  {static_cast<const std::byte*>(host.data_ptr()), host.nbytes()});
  }

  void Finish() { PublishPartial(path_); }

 private:
  std::filesystem::path path_;
  checkpoint::SafetensorsLayout layout_;
  File file_;
};

ForwardInputs InputsOf(const TraceRequest& request, RequantisedWeights& weights) {
  return {.source = request.source,
          .compute = request.compute,
          .budget = request.budget,
          .tokens = request.tokens,
          .scratch_directory = request.scratch_directory,
          .weights = weights.count() > 0 ? &weights : nullptr};
}

std::shared_ptr<SampleBuffer> RunLayers(const TraceRequest& request, const ModelForward& forward,
                                        Progress& progress, const ModelForward::LayerSeen& seen) {
  const int64_t layers = forward.decoder().Layers();
  if (!request.quantize_activations) return forward.Run(layers, progress, seen);
  ActivationQuantizer quantizer(request.source, request.expert_input_scale);
  return forward.Run(layers, progress, quantizer, seen);
}

std::string HiddenName(int64_t layer) { return fmt::format("hidden.{}", layer); }

std::vector<checkpoint::TensorSpec> TraceTensors(const ModelForward& forward, int64_t samples,
                                                 int64_t length) {
  std::vector<int64_t> hidden_shape = forward.loop().HiddenSampleShape();
  hidden_shape.insert(hidden_shape.begin(), samples);
  std::vector<checkpoint::TensorSpec> tensors;
  for (int64_t layer = 0; layer < forward.decoder().Layers(); ++layer) {
    tensors.push_back({HiddenName(layer), checkpoint::DType::kF32, hidden_shape});
  }
  tensors.push_back(
      {"logits", checkpoint::DType::kF32, {samples, length, forward.decoder().VocabSize()}});
  return tensors;
}

template <typename Id>
std::vector<int32_t> CheckIds(const std::vector<Id>& ids, int64_t vocab_size,
                              const std::string& origin) {
  std::vector<int32_t> checked;
  checked.reserve(ids.size());
  for (const Id id : ids) {
    if (id < 0 || id >= vocab_size) {
      throw Error(ErrorCode::kBadTokenIds, origin,
                  fmt::format("id {} is outside the vocabulary of {}", id, vocab_size),
                  "Use the tokenizer that belongs to the model");
    }
    checked.push_back(static_cast<int32_t>(id));
  }
  return checked;
}

template <typename Id>
std::vector<Id> ReadIds(const File& file, const checkpoint::TensorInfo& tensor) {
  std::vector<Id> ids(static_cast<size_t>(tensor.Elements()));
  file.ReadAt(tensor.begin, std::as_writable_bytes(std::span(ids)));
  return ids;
}

}  // namespace

datasets::CalibrationSet ReadTokenIds(const std::filesystem::path& path, int64_t vocab_size) {
  const File file = File::OpenForRead(path);
  const checkpoint::SafetensorsHeader header = checkpoint::ReadSafetensorsHeader(file);
  const auto found = std::ranges::find(header.tensors, "input_ids", &checkpoint::TensorInfo::name);
  const bool usable =
      found != header.tensors.end() && !found->shape.empty() && found->shape.size() <= 2 &&
      found->Elements() > 0 &&
      (found->dtype == checkpoint::DType::kI64 || found->dtype == checkpoint::DType::kI32);
  if (!usable) {
    throw Error(ErrorCode::kBadTokenIds, path.string(),
                "it holds no tensor \"input_ids\" of I64 or I32 with shape [B, S] or [S]",
                "Write the token ids as such a tensor");
  }
  datasets::CalibrationSet tokens;
  tokens.samples = found->shape.size() == 2 ? found->shape[0] : 1;
  tokens.sequence_length = found->shape.back();
  tokens.ids = found->dtype == checkpoint::DType::kI64
                   ? CheckIds(ReadIds<int64_t>(file, *found), vocab_size, path.string())
                   : CheckIds(ReadIds<int32_t>(file, *found), vocab_size, path.string());
  tokens.lengths.assign(static_cast<size_t>(tokens.samples),
                        static_cast<int32_t>(tokens.sequence_length));
  return tokens;
}

void WriteTrace(const TraceRequest& request, const std::filesystem::path& out, Progress& progress) {
  RequantisedWeights weights(request.source);
  const ModelForward forward(InputsOf(request, weights));
  TraceFile file(out,
                 TraceTensors(forward, request.tokens.samples, request.tokens.sequence_length));
  progress.BeginPhase("trace", static_cast<double>(forward.decoder().Layers()));
  const std::shared_ptr<SampleBuffer> last =
      RunLayers(request, forward, progress, [&](int64_t layer, const SampleBuffer& hidden) {
        for (int64_t sample = 0; sample < hidden.samples(); ++sample) {
          file.Write(HiddenName(layer), sample, hidden.Get(sample, 1));
        }
      });
  forward.loop().ForEachLogits(*last,
                               [&](int64_t first, const at::Tensor&, const at::Tensor& logits) {
                                 file.Write("logits", first, logits);
                               });
  file.Finish();
  progress.EndPhase();
}

Likelihood MeasureLikelihood(const TraceRequest& request, Progress& progress) {
  const datasets::EvaluationSet data = datasets::EvaluationSetOfIds(request.tokens, "input_ids");
  RequantisedWeights weights(request.source);
  const ModelForward forward(InputsOf(request, weights));
  progress.BeginPhase("trace", static_cast<double>(forward.decoder().Layers()));
  const std::shared_ptr<SampleBuffer> last = RunLayers(request, forward, progress, {});
  const FinalStates states = {forward.decoder(), *last};
  const TokenScores scores = ScoreTokens(data, forward.loop().device(), states, nullptr,
                                         [&](int64_t) { StopIfAsked(progress); });
  progress.EndPhase();
  return LikelihoodOf(scores.nll);
}

}  // namespace vernier::calib

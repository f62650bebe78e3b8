#include "tests/calib/deepseek_v4_support.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>

#include "base/file.h"
#include "checkpoint/safetensors.h"

namespace vernier::calib {
namespace {

// Adds the weighted output of `expert` to y for the rows that chose it.
void AddExpert(const Decoder& decoder, int64_t layer, int64_t expert, const FfnStage& stage,
               const at::Tensor& chosen, InputObserver& observer, at::Tensor& y) {
  const at::Tensor places = at::nonzero(chosen.eq(expert));  // [m, 2]: row, column
  if (places.size(0) == 0) return;
  const at::Tensor rows = places.select(1, 0);
  const at::Tensor weights = stage.routing.weights.index({rows, places.select(1, 1)});
  const at::Tensor out = decoder.RunExpert(layer, expert, decoder.LoadExpert(layer, expert),
                                           stage.x.index_select(0, rows), observer);
  y.index_add_(0, rows, out.to(at::kFloat) * weights.unsqueeze(-1));
}

}  // namespace

TestModel::TestModel(const std::filesystem::path& directory, at::ScalarType compute_dtype)
    : source(checkpoint::OpenSourceModel(directory)),
      config(checkpoint::ParseDeepseekV4Config(source.checkpoint.config())),
      loader(source, at::kCPU, compute_dtype),
      decoder(MakeDecoder(loader)) {}

std::map<std::string, at::Tensor> ReadTensors(const std::filesystem::path& path) {
  const File file = File::OpenForRead(path);
  std::map<std::string, at::Tensor> tensors;
  for (const checkpoint::TensorInfo& info : checkpoint::ReadSafetensorsHeader(file).tensors) {
    const at::ScalarType dtype = info.dtype == checkpoint::DType::kF32   ? at::kFloat
                                 : info.dtype == checkpoint::DType::kI64 ? at::kLong
                                                                         : at::kInt;
    at::Tensor tensor = at::empty(info.shape, at::TensorOptions().dtype(dtype));
    file.ReadAt(info.begin, {static_cast<std::byte*>(tensor.data_ptr()), tensor.nbytes()});
    tensors.emplace(info.name, tensor);
  }
  return tensors;
}

at::Tensor RunLayer(const Decoder& decoder, int64_t layer, const at::Tensor& hidden,
                    const TokenBatch& batch, int64_t query_chunk, InputObserver& observer) {
  const std::unique_ptr<DecoderLayer> dense = decoder.LoadLayer(layer, query_chunk);
  const FfnStage stage = dense->RunUntilExperts(hidden, batch, observer);
  at::Tensor chosen = stage.routing.experts;
  if (batch.real.defined()) {
    chosen = chosen.masked_fill(batch.real.reshape({-1, 1}).logical_not(), -1);
  }
  at::Tensor y = stage.y.clone();
  for (int64_t expert = 0; expert < decoder.Experts(layer); ++expert) {
    AddExpert(decoder, layer, expert, stage, chosen, observer, y);
  }
  return dense->Finish(stage.hidden, y, stage.mix);
}

ModelOutput RunModel(const Decoder& decoder, const TokenBatch& batch, int64_t query_chunk) {
  InputObserver observer({});
  ModelOutput output;
  at::Tensor hidden = decoder.Embed(batch.ids);
  for (int64_t layer = 0; layer < decoder.Layers(); ++layer) {
    hidden = RunLayer(decoder, layer, hidden, batch, query_chunk, observer);
    output.hidden.push_back(hidden);
  }
  output.logits = decoder.Logits(hidden);
  return output;
}

double MiniModelPerplexity(at::ScalarType compute_dtype, int64_t windows) {
  const c10::InferenceMode inference;
  const TestModel model(kMiniModel, compute_dtype);
  const at::Tensor ids = ReadTensors(kMiniReference / "val_ids.safetensors")
                             .at("val_ids")
                             .slice(0, 0, windows * kEvalWindow)
                             .to(at::kLong)
                             .view({windows, kEvalWindow});
  constexpr int64_t kBatch = 8;
  constexpr int64_t kQueryChunk = 128;
  double total = 0;
  for (int64_t begin = 0; begin < windows; begin += kBatch) {
    const at::Tensor batch = ids.slice(0, begin, std::min(begin + kBatch, windows));
    const at::Tensor logits = RunModel(*model.decoder, {batch, {}}, kQueryChunk).logits;
    const at::Tensor likelihood = at::log_softmax(logits.slice(1, 0, kEvalWindow - 1), -1)
                                      .gather(-1, batch.slice(1, 1).unsqueeze(-1));
    total -= likelihood.mean().item<double>() * static_cast<double>(batch.size(0));
  }
  return std::exp(total / static_cast<double>(windows));
}

double RelativeError(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor expected = b.to(at::kDouble);
  return ((a.to(at::kDouble) - expected).norm() / expected.norm()).item<double>();
}

}  // namespace vernier::calib

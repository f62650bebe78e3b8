#include "tests/calib/model_support.h"

#include <algorithm>

#include "base/file.h"
#include "checkpoint/safetensors.h"

namespace vernier::calib {
namespace {

// Adds the weighted output of `expert` to y for the rows that chose it.
void AddExpert(const Decoder& decoder, int64_t layer, int64_t expert, const FfnStage& stage,
               const at::Tensor& chosen, Tap& tap, at::Tensor& y) {
  const at::Tensor places = at::nonzero(chosen.eq(expert));  // [m, 2]: row, column
  if (places.size(0) == 0) return;
  const at::Tensor rows = places.select(1, 0);
  const at::Tensor weights = stage.routing.weights.index({rows, places.select(1, 1)});
  const at::Tensor out = decoder.RunExpert(layer, expert, decoder.LoadExpert(layer, expert),
                                           stage.x.index_select(0, rows), tap);
  y.index_add_(0, rows, out.to(at::kFloat) * weights.unsqueeze(-1));
}

}  // namespace

std::vector<std::string> TestModelNames() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kTestModels)) {
    if (!std::filesystem::exists(entry.path() / "config.json")) continue;
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string NameInTest(std::string model) {
  std::replace(model.begin(), model.end(), '-', '_');
  return model;
}

LoadedModel::LoadedModel(const std::filesystem::path& directory, at::ScalarType compute_dtype,
                         at::Device device)
    : source(checkpoint::OpenSourceModel(directory)),
      loader(source, device, compute_dtype),
      decoder(MakeDecoder(loader)) {}

std::map<std::string, at::Tensor> ReadTensors(const std::filesystem::path& path) {
  const File file = File::OpenForRead(path);
  std::map<std::string, at::Tensor> tensors;
  for (const checkpoint::TensorInfo& info : checkpoint::ReadSafetensorsHeader(file).tensors) {
    const bool known = info.dtype == checkpoint::DType::kF32 ||
                       info.dtype == checkpoint::DType::kI64 ||
                       info.dtype == checkpoint::DType::kI32;
    if (!known) continue;
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
                    const TokenBatch& batch, int64_t query_chunk, Tap& tap) {
  const std::unique_ptr<DecoderLayer> dense = decoder.LoadLayer(layer, query_chunk);
  const FfnStage stage = dense->RunUntilExperts(hidden, batch, tap);
  at::Tensor chosen = stage.routing.experts;
  if (batch.real.defined()) {
    chosen = chosen.masked_fill(batch.real.reshape({-1, 1}).logical_not(), -1);
  }
  at::Tensor y = stage.y.clone();
  for (int64_t expert = 0; expert < decoder.Experts(layer); ++expert) {
    AddExpert(decoder, layer, expert, stage, chosen, tap, y);
  }
  return dense->Finish(stage.hidden, y, stage.mix);
}

ModelOutput RunModel(const Decoder& decoder, const TokenBatch& batch, int64_t query_chunk,
                     Tap& tap) {
  ModelOutput output;
  at::Tensor hidden = decoder.Embed(batch.ids);
  for (int64_t layer = 0; layer < decoder.Layers(); ++layer) {
    hidden = RunLayer(decoder, layer, hidden, batch, query_chunk, tap);
    output.hidden.push_back(hidden);
  }
  output.logits = decoder.LoadHead()->Logits(hidden);
  return output;
}

ModelOutput RunModel(const Decoder& decoder, const TokenBatch& batch, int64_t query_chunk) {
  Tap nobody;
  return RunModel(decoder, batch, query_chunk, nobody);
}

double RelativeError(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor expected = b.to(at::kDouble);
  return ((a.to(at::kDouble) - expected).norm() / expected.norm()).item<double>();
}

double WorstPositionError(const at::Tensor& a, const at::Tensor& b) {
  double worst = 0;
  for (int64_t t = 0; t < a.size(1); ++t) {
    worst = std::max(worst, RelativeError(a.select(1, t), b.select(1, t)));
  }
  return worst;
}

}  // namespace vernier::calib

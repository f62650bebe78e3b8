#include "calib/resident_model.h"

#include <c10/core/InferenceMode.h>
#include <tbb/parallel_for.h>

#include "calib/non_finite.h"
#include "calib/routed_rows.h"

namespace vernier::calib {

ResidentLayer::ResidentLayer(const Decoder& decoder, int64_t layer, int64_t query_chunk,
                             at::Device device)
    : decoder_(&decoder), layer_(layer), experts_(static_cast<size_t>(decoder.Experts(layer))) {
  UpcomingWeights weights{.layer = layer, .dense = true};
  for (int64_t i = 0; i < decoder.Experts(layer); ++i) weights.experts.push_back(i);
  if (layer + 1 < decoder.Layers()) weights.next_layer = layer + 1;
  const bool streams = decoder.ReadAhead(weights);
  dense_ = decoder.LoadLayer(layer, query_chunk);
  const auto load = [&](size_t i) {
    experts_[i] = decoder.LoadExpert(layer, static_cast<int64_t>(i));
    for (at::Tensor& weight : experts_[i]) weight = weight.to(device);
  };
  if (streams) {
    for (size_t i = 0; i < experts_.size(); ++i) load(i);
  } else {
    tbb::parallel_for(size_t{0}, experts_.size(), load);
  }
  decoder.CheckWeights();
}

at::Tensor ResidentLayer::RunFfn(const at::Tensor& hidden, const TokenBatch& batch,
                                 Tap& tap) const {
  const FfnStage stage = dense_->BeginFfn(hidden, batch, tap);
  at::Tensor y = stage.y;
  if (!experts_.empty()) AddExperts(stage, y, tap);
  return dense_->Finish(stage.hidden, y, stage.mix);
}

void ResidentLayer::AddExperts(const FfnStage& stage, at::Tensor& y, Tap& tap) const {
  const RoutedRows routed(stage.routing.experts.to(at::kInt), stage.routing.weights,
                          static_cast<int64_t>(experts_.size()));
  for (size_t i = 0; i < experts_.size(); ++i) {
    const auto expert = static_cast<int64_t>(i);
    if (routed.Count(expert) == 0) continue;
    const RoutedRows::Rows chosen = routed.Of(expert);
    const at::Tensor out =
        decoder_->RunExpert(layer_, expert, experts_[i], stage.x.index_select(0, chosen.rows), tap);
    y.index_add_(0, chosen.rows, out.to(at::kFloat) * chosen.weights);
  }
}

std::unique_ptr<ResidentModel> ResidentModel::Load(
    const Decoder& decoder, int64_t query_chunk, at::Device device,
    const std::function<void(int64_t layer)>& loaded) {
  const c10::InferenceMode inference;
  std::unique_ptr<ResidentModel> model(new ResidentModel(decoder, device));
  for (int64_t layer = 0; layer < decoder.Layers(); ++layer) {
    model->layers_.emplace_back(decoder, layer, query_chunk, device);
    if (!model->layers_.back().dense().AttendStepwise(1)) return nullptr;
    loaded(layer);
  }
  model->head_ = decoder.LoadHead();
  return model;
}

GrowingSequence ResidentModel::Begin(int64_t positions) const {
  GrowingSequence sequence;
  for (const ResidentLayer& layer : layers_) {
    sequence.layers.push_back(layer.dense().AttendStepwise(positions));
  }
  return sequence;
}

std::optional<at::Tensor> ResidentModel::Run(std::span<const NewTokens> next, Tap& tap) const {
  const c10::InferenceMode inference;
  // Attention takes a sequence at a time; everything else all tokens, one sequence behind another.
  std::vector<at::Tensor> ids;
  std::vector<int64_t> lengths;
  for (const NewTokens& tokens : next) {
    ids.push_back(tokens.ids.to(device_).unsqueeze(0));
    lengths.push_back(tokens.ids.size(0));
    tokens.sequence.length += lengths.back();
  }
  const TokenBatch all{at::cat(ids, 1), {}};
  at::Tensor hidden = decoder_.Embed(all.ids);
  for (size_t layer = 0; layer < layers_.size(); ++layer) {
    std::vector<at::Tensor> attended = hidden.split_with_sizes(lengths, 1);
    for (size_t i = 0; i < next.size(); ++i) {
      attended[i] = next[i].sequence.layers[layer](attended[i], {ids[i], {}}, tap);
    }
    hidden = layers_[layer].RunFfn(at::cat(attended, 1), all, tap);
  }
  if (!AllFinite({&hidden, 1})) return std::nullopt;
  const at::Tensor ends = at::tensor(lengths, at::kLong).cumsum(0).to(device_) - 1;
  return head_->Logits(hidden.index_select(1, ends)).squeeze(0);
}

}  // namespace vernier::calib

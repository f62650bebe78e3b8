#include <utility>

#include "calib/layertest/decoders.h"

namespace vernier::calib {
namespace {

bool HasQuantizedWeights(Variant variant) { return variant != Variant::kActivations; }

class ReferenceLayer final : public DecoderLayer {
 public:
  // One layer of each decoder that differs, in the order of `variants`.
  ReferenceLayer(std::unique_ptr<DecoderLayer> source, std::unique_ptr<DecoderLayer> quantized,
                 std::span<const VariantRun> variants, const Batches& batches,
                 ReferenceErrors errors, ReferenceStates& states)
      : source_(std::move(source)),
        quantized_(std::move(quantized)),
        variants_(variants),
        batches_(batches),
        errors_(errors),
        states_(states) {}

  at::Tensor Attend(const at::Tensor& hidden, const TokenBatch& batch, Tap& tap) override {
    if (middle_done_ == 0) quantized_->RunUntilExperts(hidden, batch, weights_);
    errors_.linears.CompareWith(weights_);
    at::Tensor middle = source_->Attend(hidden, batch, tap);
    states_.middle.Put(middle_done_, middle);
    middle_done_ += middle.size(0);
    return middle;
  }

  FfnStage BeginFfn(const at::Tensor& hidden, const TokenBatch& batch, Tap& tap) override {
    FfnStage stage = source_->BeginFfn(hidden, batch, tap);
    if (!stage.routing.experts.defined()) return stage;
    for (const VariantRun& run : variants_) {
      DecoderLayer& layer = HasQuantizedWeights(run.variant) ? *quantized_ : *source_;
      const at::Tensor y = layer.BeginFfn(hidden, batch, run.tap).y;
      errors_.shared[run.variant].Add(batch.RealRows(stage.y), batch.RealRows(y));
    }
    return stage;
  }

  at::Tensor Finish(const at::Tensor& hidden, const at::Tensor& y, const at::Tensor& mix) override {
    at::Tensor out = source_->Finish(hidden, y, mix);
    states_.ffn.Put(out_done_, y.view({out.size(0), batches_.length(), -1}));
    states_.out.Put(out_done_, out);
    out_done_ += out.size(0);
    return out;
  }

 private:
  std::unique_ptr<DecoderLayer> source_, quantized_;
  std::span<const VariantRun> variants_;
  const Batches& batches_;
  ReferenceErrors errors_;
  ReferenceStates& states_;
  WeightCollector weights_;
  int64_t middle_done_ = 0, out_done_ = 0;  // samples
};

}  // namespace

std::unique_ptr<DecoderLayer> ReferenceDecoder::LoadLayer(int64_t layer,
                                                          int64_t query_chunk) const {
  return std::make_unique<ReferenceLayer>(inner_.LoadLayer(layer, query_chunk),
                                          variants_.front().decoder.LoadLayer(layer, query_chunk),
                                          variants_, batches_, errors_, states_);
}

ExpertWeights ReferenceDecoder::LoadExpert(int64_t layer, int64_t expert) const {
  ExpertWeights both = inner_.LoadExpert(layer, expert);
  ExpertWeights quantized = variants_.front().decoder.LoadExpert(layer, expert);
  std::move(quantized.begin(), quantized.end(), std::back_inserter(both));
  return both;
}

at::Tensor ReferenceDecoder::RunExpert(int64_t layer, int64_t expert, const ExpertWeights& weights,
                                       const at::Tensor& x, Tap& tap) const {
  const auto middle = weights.begin() + static_cast<ptrdiff_t>(weights.size() / 2);
  const ExpertWeights source(weights.begin(), middle), quantized(middle, weights.end());
  VariantSums& sums = errors_.experts.at(static_cast<size_t>(expert));

  WeightCollector collected;
  const at::Tensor by_weights =
      variants_.front().decoder.RunExpert(layer, expert, quantized, x, collected);
  errors_.linears.CompareWith(collected);
  at::Tensor y = inner_.RunExpert(layer, expert, source, x, tap);
  sums[Variant::kWeights].Add(y, by_weights);
  for (const VariantRun& run : variants_.subspan(1)) {
    const ExpertWeights& own = HasQuantizedWeights(run.variant) ? quantized : source;
    sums[run.variant].Add(y, run.decoder.RunExpert(layer, expert, own, x, run.tap));
  }
  return y;
}

}  // namespace vernier::calib

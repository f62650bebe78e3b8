#include <utility>

#include "calib/layertest/decoders.h"

namespace vernier::calib {
namespace {

class ComparedLayer final : public DecoderLayer {
 public:
  ComparedLayer(std::unique_ptr<DecoderLayer> inner, VariantStart start, const Batches& batches,
                const ReferenceStates& states, RunErrors errors)
      : inner_(std::move(inner)),
        start_(start),
        batches_(batches),
        states_(states),
        errors_(errors) {}

  at::Tensor Attend(const at::Tensor& hidden, const TokenBatch& batch, Tap& tap) override {
    if (start_ == VariantStart::kFfn) return hidden;
    at::Tensor middle = inner_->Attend(hidden, batch, tap);
    Compare(batches_.At(attended_), states_.middle, middle, errors_.middle);
    attended_ += middle.size(0);
    return middle;
  }

  FfnStage BeginFfn(const at::Tensor& hidden, const TokenBatch& batch, Tap& tap) override {
    return inner_->BeginFfn(hidden, batch, tap);
  }

  at::Tensor Finish(const at::Tensor& hidden, const at::Tensor& y, const at::Tensor& mix) override {
    const Batch batch = batches_.At(finished_);
    finished_ = batch.end();
    Compare(batch, states_.ffn, y.view({batch.count, batches_.length(), -1}), errors_.ffn);
    at::Tensor out = inner_->Finish(hidden, y, mix);
    Compare(batch, states_.out, out, errors_.out);
    return out;
  }

 private:
  // `values` [B, S, ...]; a token is a row.
  void Compare(const Batch& batch, const SampleBuffer& reference, const at::Tensor& values,
               ErrorSums* sums) const {
    if (sums == nullptr) return;
    const TokenBatch tokens = batches_.Tokens(batch);
    sums->Add(tokens.RealRows(batches_.Get(reference, batch).flatten(2)),
              tokens.RealRows(values.flatten(2)));
  }

  std::unique_ptr<DecoderLayer> inner_;
  VariantStart start_;
  const Batches& batches_;
  const ReferenceStates& states_;
  RunErrors errors_;
  int64_t attended_ = 0, finished_ = 0;  // samples
};

}  // namespace

std::unique_ptr<DecoderLayer> ComparedDecoder::LoadLayer(int64_t layer, int64_t query_chunk) const {
  return std::make_unique<ComparedLayer>(inner_.LoadLayer(layer, query_chunk), start_, batches_,
                                         states_, errors_);
}

}  // namespace vernier::calib

// A whole model on the device, for sequences that grow token by token: weights are loaded once, and
// attention keeps what later tokens need of earlier ones.
#ifndef VERNIER_CALIB_RESIDENT_MODEL_H_
#define VERNIER_CALIB_RESIDENT_MODEL_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "calib/families/decoder.h"
#include "calib/tap.h"

namespace vernier::calib {

// A layer with all its routed experts.
class ResidentLayer {
 public:
  // `decoder` must outlive it.
  ResidentLayer(const Decoder& decoder, int64_t layer, int64_t query_chunk, at::Device device);

  DecoderLayer& dense() const { return *dense_; }

  // The feed-forward network and the end of the layer: hidden [B, S, ...] as attention left it ->
  // the same shape. Sums run over experts in ascending order.
  at::Tensor RunFfn(const at::Tensor& hidden, const TokenBatch& batch, Tap& tap) const;

 private:
  void AddExperts(const FfnStage& stage, at::Tensor& y, Tap& tap) const;

  const Decoder* decoder_;
  int64_t layer_;
  std::unique_ptr<DecoderLayer> dense_;
  std::vector<ExpertWeights> experts_;
};

// What has run of a sequence.
struct GrowingSequence {
  int64_t length = 0;  // tokens
  std::vector<StepwiseAttention> layers;
};

// The tokens that a sequence goes on with.
struct NewTokens {
  GrowingSequence& sequence;
  at::Tensor ids;  // [S] I64, on the host
};

class ResidentModel {
 public:
  // Calls `loaded(layer)` after each layer. Null when a layer takes whole sequences only. `decoder`
  // must outlive the model.
  static std::unique_ptr<ResidentModel> Load(const Decoder& decoder, int64_t query_chunk,
                                             at::Device device,
                                             const std::function<void(int64_t layer)>& loaded);

  // A sequence that grows to `positions` tokens at most. Refers to the model.
  GrowingSequence Begin(int64_t positions) const;

  // Runs the next tokens of several sequences, no two of them the same: logits [sequences, V] F32
  // behind the last token of each. Nothing when a hidden state behind the last layer is NaN or
  // infinite.
  std::optional<at::Tensor> Run(std::span<const NewTokens> next, Tap& tap) const;

 private:
  ResidentModel(const Decoder& decoder, at::Device device) : decoder_(decoder), device_(device) {}

  const Decoder& decoder_;
  at::Device device_;
  std::vector<ResidentLayer> layers_;
  std::unique_ptr<Head> head_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_RESIDENT_MODEL_H_

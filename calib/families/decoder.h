// What the layer loop needs from a model family's forward pass. One family, one file (or folder).
//
// The loop owns the order of things: it embeds all samples, then for each layer loads the dense
// part, runs every batch up to the routed experts, brings the experts in group by group, and
// finishes every batch. A family only computes.
#ifndef VERNIER_CALIB_FAMILIES_DECODER_H_
#define VERNIER_CALIB_FAMILIES_DECODER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "calib/tap.h"
#include "calib/tensor_loader.h"

namespace vernier::calib {

// A batch of sequences. B sequences of S positions; T = B * S rows in all.
struct TokenBatch {
  at::Tensor ids;   // [B, S] I64, on the device
  at::Tensor real;  // [B, S] bool, on the device: false where padding; undefined when all are real
  std::vector<int64_t> lengths = {};  // [B] of the tokens that are real; empty: not known

  // Rows of `x` [B, S, K] or [T, K] that are no padding, as [rows, K].
  at::Tensor RealRows(const at::Tensor& x) const;
  // Positions [begin, end) of every sequence.
  TokenBatch Positions(int64_t begin, int64_t end) const;
};

// Where a linear layer takes its input: shows the tap the rows of `x` ([..., K], of `batch`'s
// tokens, for several groups [T, groups, K]) that are no padding, and returns what the layer is to
// be run on: x, unless the tap replaces it. A module that nobody wants costs nothing.
at::Tensor TakeInput(Tap& tap, const LinearSite& site, const TokenBatch& batch,
                     const at::Tensor& x);

// Linear(TakeInput(x), weight): [..., N], x's dtype. For one group.
at::Tensor RunLinear(Tap& tap, const LinearSite& site, const TokenBatch& batch,
                     const at::Tensor& x);

// The same for what attention keeps of every token for later ones: rows x [B, S, K] of the
// cache `entry` ("model.layers.0.self_attn.k_cache").
at::Tensor TakeCache(Tap& tap, std::string_view entry, const TokenBatch& batch,
                     const at::Tensor& x);

// Choice of routed experts for T rows; padding rows are routed like any other (the loop drops
// them).
struct Routing {
  at::Tensor experts;  // [T, k] I64, on the device
  at::Tensor weights;  // [T, k] F32
};

// A layer's state after attention and everything of its FFN except the routed experts.
struct FfnStage {
  at::Tensor hidden;  // the residual, not yet joined by the FFN: shape of a batch's hidden states
  at::Tensor x;       // [T, D] input of the experts, compute dtype
  at::Tensor y;       // [T, D] F32: what the FFN adds so far (shared expert or dense MLP)
  at::Tensor mix;     // F32 [T, m]: whatever Finish needs per row; undefined where m is 0
  Routing routing;    // undefined tensors when the layer has no routed experts
};

// Attention over a batch of sequences that come piece by piece: each call as DecoderLayer::Attend,
// for the positions behind those of the calls before. Padding ends a sequence.
using StepwiseAttention =
    std::function<at::Tensor(const at::Tensor& hidden, const TokenBatch& batch, Tap& tap)>;

// The dense part of one layer, on the device. Not thread-safe.
class DecoderLayer {
 public:
  virtual ~DecoderLayer() = default;

  // Attention: hidden [B, S, ...] as returned by Embed or Finish -> the residual behind it, in the
  // same shape.
  virtual at::Tensor Attend(const at::Tensor& hidden, const TokenBatch& batch, Tap& tap) = 0;

  // The same for sequences that grow to `positions` at most: keeps what later tokens need of
  // earlier ones. Refers to the layer. Empty where a layer takes whole sequences only.
  virtual StepwiseAttention AttendStepwise([[maybe_unused]] int64_t positions) { return {}; }

  // The FFN but for its routed experts; `hidden`: what Attend returned.
  virtual FfnStage BeginFfn(const at::Tensor& hidden, const TokenBatch& batch, Tap& tap) = 0;

  // Both.
  FfnStage RunUntilExperts(const at::Tensor& hidden, const TokenBatch& batch, Tap& tap) {
    return BeginFfn(Attend(hidden, batch, tap), batch, tap);
  }

  // hidden, mix: from the FfnStage; y [T, D] F32: its y plus the weighted outputs of the routed
  // experts.
  virtual at::Tensor Finish(const at::Tensor& hidden, const at::Tensor& y,
                            const at::Tensor& mix) = 0;
};

// Weights of one routed expert, in an order that the family chooses.
using ExpertWeights = std::vector<at::Tensor>;

// The last norm and the projection onto the vocabulary. Its weights stay on the device as long as
// it lives.
class Head {
 public:
  virtual ~Head() = default;

  // hidden of the last layer [B, S, ...] -> logits [B, S, V] F32.
  virtual at::Tensor Logits(const at::Tensor& hidden) const = 0;
};

// A model's forward pass. Its loaders outlive it.
class Decoder {
 public:
  // `loaders`: those that it loads weights with.
  explicit Decoder(std::vector<const TensorLoader*> loaders) : loaders_(std::move(loaders)) {}
  virtual ~Decoder() = default;

  const std::vector<const TensorLoader*>& loaders() const { return loaders_; }

  // What is loaded next. True: it is read meanwhile, and LoadExpert is for this thread alone.
  bool ReadAhead(const UpcomingWeights& next) const;
  // Refuses weights that were decoded on the device and have values that are not finite.
  void CheckWeights() const;

  virtual int64_t Layers() const = 0;
  virtual int64_t VocabSize() const = 0;
  // Shape of one position's hidden state at a layer boundary: {n, D} for DeepSeek-V4, {D} for
  // others.
  virtual std::vector<int64_t> HiddenShape() const = 0;
  // Routed experts of a layer; 0 for a dense one.
  virtual int64_t Experts(int64_t layer) const = 0;
  virtual int64_t ExpertsPerToken() const = 0;
  // m of FfnStage::mix, in layers with routed experts; 0 where Finish needs nothing.
  virtual int64_t MixWidth() const = 0;

  // ids [B, S] -> hidden [B, S, HiddenShape()...] in the compute dtype, on the device.
  virtual at::Tensor Embed(const at::Tensor& ids) const = 0;

  // `query_chunk`: queries of a sequence whose attention scores may exist at once.
  virtual std::unique_ptr<DecoderLayer> LoadLayer(int64_t layer, int64_t query_chunk) const = 0;

  // On the device when weights are read ahead; else in host memory, and thread-safe.
  virtual ExpertWeights LoadExpert(int64_t layer, int64_t expert) const = 0;
  // x [rows, D], compute dtype -> [rows, D], without the routing weight. Observes the inputs of the
  // expert's linear layers.
  virtual at::Tensor RunExpert(int64_t layer, int64_t expert, const ExpertWeights& weights,
                               const at::Tensor& x, Tap& tap) const = 0;

  virtual std::unique_ptr<Head> LoadHead() const = 0;

 private:
  std::vector<const TensorLoader*> loaders_;
};

// The decoder of loader.source()'s family: that of its row, else the one that its blocks describe
// (Family::Decoder). kUnknownModelType when it has neither.
std::unique_ptr<Decoder> MakeDecoder(const TensorLoader& loader);

// A family whose forward pass is not made of blocks.
struct DecoderRow {
  std::string_view model_type;
  std::unique_ptr<Decoder> (*make)(const TensorLoader& loader);
};
// In a file of its own (decoder_rows.cc), so that a program can have a table of its own: one that
// defines this function does not link the library's.
std::span<const DecoderRow> Decoders();

// One per row.
std::unique_ptr<Decoder> MakeDeepseekV4Decoder(const TensorLoader& loader);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_DECODER_H_

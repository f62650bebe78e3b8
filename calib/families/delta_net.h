// Linear attention by the gated delta rule: Qwen3-Next's and Qwen3.5's.
#ifndef VERNIER_CALIB_FAMILIES_DELTA_NET_H_
#define VERNIER_CALIB_FAMILIES_DELTA_NET_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "calib/families/linear_layer.h"
#include "calib/families/residual_decoder.h"
#include "checkpoint/families/decoder_config.h"

namespace vernier::calib {

// Queries, keys and values go through a convolution over the last positions and silu, then through
// the delta rule with keys and queries of length 1; what comes out is normalised head by head and
// multiplied by the silu of a gate. (transformers, models/qwen3_next.)
class DeltaNet final : public Attention {
 public:
  // Memory grows with `query_chunk`, rounded down to whole chunks of the rule, and is at least that
  // of one.
  DeltaNet(const TensorLoader& loader, const checkpoint::DecoderConfig& config, int64_t layer,
           int64_t query_chunk);

  // Observes the inputs of its projections. Padding ends a sequence, and so is in no state that a
  // real position sees.
  at::Tensor Forward(const at::Tensor& x, const TokenBatch& batch, KeyValues& past,
                     Tap& tap) const override;

 private:
  // Of a chunk of positions.
  struct Projected {
    at::Tensor mixed;  // [B, C, W]: queries, keys and values of all heads, before the convolution
    at::Tensor gate;   // [B, C, value width]
    at::Tensor rate;   // [B, C, value heads], before its sigmoid
    at::Tensor step;   // the same, before its softplus
  };
  // What the rule takes and makes of a chunk.
  struct Mixing {
    at::Tensor inputs;        // [B, kernel - 1 + C, W]: mixed, behind what came before
    at::Tensor steps, rates;  // [B, C, value heads]
    at::Tensor gate;          // [B, C, value width]
    at::Tensor state;         // RecurrentState::state
    at::Tensor out;           // [B, C, value width]
  };
  // Sequences and key heads that are computed together.
  struct Part {
    int64_t sequence = 0, sequences = 0, head = 0, heads = 0;
  };

  // `inputs`: of projections_, [B, C, D].
  Projected Project(const std::vector<at::Tensor>& inputs) const;
  Projected SplitByKeyHead(const at::Tensor& qkvz, const at::Tensor& ba) const;
  // Of no position yet.
  RecurrentState Begin(const at::Tensor& mixed) const;
  // [B, C, value width], of x's dtype.
  at::Tensor Mix(const Projected& projected, RecurrentState& past) const;
  // steps [N, r, C] of the part's N key heads -> the same, F32.
  at::Tensor LogDecay(const at::Tensor& steps, const Part& part) const;
  void MixPart(const Mixing& mixing, const Part& part) const;
  // Channels [begin, begin + heads * size) of all heads' convolved ones: [N, C, size] F32.
  at::Tensor Convolve(const at::Tensor& inputs, const Part& part, int64_t begin,
                      int64_t size) const;

  checkpoint::DeltaNetConfig config_;
  int64_t shared_;  // value heads of a key head
  int64_t chunk_;
  double norm_eps_;
  std::vector<LinearLayer> projections_;  // qkv, z, b and a; or qkvz and ba
  LinearLayer out_;
  at::Tensor convolution_;  // [W, kernel], F32
  at::Tensor decay_rates_;  // [value heads], F32: -exp(A_log)
  at::Tensor step_bias_;    // [value heads], F32
  at::Tensor norm_;         // [value head dim], F32
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_DELTA_NET_H_

// Grouped-query attention with rotary embedding: Llama's, and that of most families since.
#ifndef VERNIER_CALIB_FAMILIES_GROUPED_QUERY_ATTENTION_H_
#define VERNIER_CALIB_FAMILIES_GROUPED_QUERY_ATTENTION_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "calib/families/linear_layer.h"
#include "calib/families/parallel_linear.h"
#include "calib/families/residual_decoder.h"
#include "calib/families/rms_norm.h"
#include "calib/families/sequence_rope.h"
#include "checkpoint/families/decoder_config.h"

namespace vernier::calib {

class GroupedQueryAttention final : public Attention {
 public:
  // Memory grows with `query_chunk` times the keys that a query may see, never with S squared.
  GroupedQueryAttention(const TensorLoader& loader, const checkpoint::DecoderConfig& config,
                        int64_t layer, int64_t query_chunk);

  // Observes the inputs of the projections of queries, keys, values and output; the cache is
  // k_cache (rotated) and v_cache below the attention's module, [T, n * d].
  at::Tensor Forward(const at::Tensor& x, const TokenBatch& batch, KeyValues& past,
                     Tap& tap) const override;

 private:
  // Rows of a projection [B, S, n * d] as n heads [B, S, n, d], normalised if the model does that,
  // and rotated as positions of `rope` from `begin` on.
  at::Tensor ToHeads(const at::Tensor& rows, int64_t heads, const OptionalNorm& norm,
                     const BatchRotation& rope, int64_t begin) const;
  // Queries [B, P, h, d] of positions from `first` on, multiplied by their growth.
  at::Tensor Grown(const at::Tensor& q, int64_t first) const;
  // [B, S, n * d], shown to the tap as `cache` -> [B, S, n, d].
  at::Tensor Cached(std::string_view cache, const at::Tensor& rows, const TokenBatch& batch,
                    Tap& tap) const;
  // Of q_proj's rows [B, C, N] those of queries, and those of the output's gate, undefined without.
  std::pair<at::Tensor, at::Tensor> TakeGate(const at::Tensor& rows) const;

  std::string module_;
  checkpoint::GroupedQueryConfig config_;
  int64_t heads_, window_, query_chunk_;
  double scale_;
  ParallelLinear qkv_;
  LinearLayer o_;
  OptionalNorm q_norm_, k_norm_;
  SequenceRope rope_;
  at::Tensor sinks_;  // [heads], F32; undefined without
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_GROUPED_QUERY_ATTENTION_H_

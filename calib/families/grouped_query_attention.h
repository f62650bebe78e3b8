// Grouped-query attention with rotary embedding: Llama's, and that of most families since.
#ifndef VERNIER_CALIB_FAMILIES_GROUPED_QUERY_ATTENTION_H_
#define VERNIER_CALIB_FAMILIES_GROUPED_QUERY_ATTENTION_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string>

#include "calib/families/linear_layer.h"
#include "calib/families/residual_decoder.h"
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
  std::string module_;
  checkpoint::GroupedQueryConfig config_;
  int64_t heads_, window_, query_chunk_;
  double norm_eps_, rope_factor_;
  LinearLayer q_, k_, v_, o_;
  at::Tensor q_norm_, k_norm_;  // F32 [d], or of all heads; undefined without
  at::Tensor rope_frequencies_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_GROUPED_QUERY_ATTENTION_H_

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
                        int64_t layer, const std::string& module, int64_t query_chunk);

  // Observes the inputs of q_proj, k_proj, v_proj and o_proj; the cache is `module`.k_cache
  // (rotated) and `module`.v_cache, [T, n * d].
  at::Tensor Forward(const at::Tensor& x, const TokenBatch& batch, KeyValues& past,
                     Tap& tap) const override;

 private:
  std::string module_;
  int64_t heads_, key_value_heads_, head_dim_, window_, query_chunk_;
  double norm_eps_, rope_factor_;
  LinearLayer q_, k_, v_, o_;
  at::Tensor q_norm_, k_norm_;  // F32 [d]; undefined without
  at::Tensor rope_frequencies_;
};

// For DecoderParts. `loader` must outlive what is returned.
MakeAttention GroupedQueryLayers(const TensorLoader& loader,
                                 const checkpoint::DecoderConfig& config);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_GROUPED_QUERY_ATTENTION_H_

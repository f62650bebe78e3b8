// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434): keys and values of all heads are
// projected from one latent vector per token, and all heads share a rotated part of the key.
#ifndef VERNIER_CALIB_FAMILIES_LATENT_ATTENTION_H_
#define VERNIER_CALIB_FAMILIES_LATENT_ATTENTION_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <optional>
#include <string>

#include "calib/families/lightning_indexer.h"
#include "calib/families/linear_layer.h"
#include "calib/families/residual_decoder.h"
#include "calib/families/rope.h"
#include "checkpoint/families/decoder_config.h"

namespace vernier::calib {

class LatentAttention final : public Attention {
 public:
  LatentAttention(const TensorLoader& loader, const checkpoint::DecoderConfig& config,
                  int64_t layer, int64_t query_chunk);

  // Observes the inputs of q_a_proj and q_b_proj or q_proj, kv_a_proj_with_mqa, kv_b_proj and
  // o_proj, and of its indexer's projections; the cache is kv_cache below its module, the
  // normalised latent and the rotated key part, [T, kv_lora_rank + qk_rope_head_dim].
  at::Tensor Forward(const at::Tensor& x, const TokenBatch& batch, KeyValues& past,
                     Tap& tap) const override;

 private:
  // x [B, S, D] -> what the last projection of queries reads, not observed yet.
  at::Tensor QueryInput(const at::Tensor& x, const TokenBatch& batch, Tap& tap) const;
  // kBadConfig where the choice of an indexer in another layer would be needed: `length` positions
  // are more than it lets through.
  void CheckShared(int64_t length) const;
  void AppendKeyValues(const at::Tensor& x, const RopeTable& rope, const TokenBatch& batch,
                       KeyValues& past, Tap& tap) const;

  std::string module_;
  checkpoint::LatentAttentionConfig config_;
  int64_t heads_, query_chunk_;
  double norm_eps_, rope_factor_, scale_;
  std::optional<LinearLayer> q_a_;
  at::Tensor q_a_norm_;  // F32; undefined without q_a
  LinearLayer q_, kv_a_, kv_b_, o_;
  std::optional<LightningIndexer> indexer_;
  at::Tensor kv_a_norm_;  // F32
  at::Tensor rope_frequencies_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_LATENT_ATTENTION_H_

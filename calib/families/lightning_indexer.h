// The lightning indexer (DeepSeek-V3.2, arXiv 2512.02556): which tokens a query of latent attention
// sees, by scores of small heads of its own.
#ifndef VERNIER_CALIB_FAMILIES_LIGHTNING_INDEXER_H_
#define VERNIER_CALIB_FAMILIES_LIGHTNING_INDEXER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string>

#include "calib/families/decoder.h"
#include "calib/families/linear_layer.h"
#include "calib/families/rope.h"
#include "calib/tap.h"
#include "calib/tensor_loader.h"
#include "checkpoint/families/decoder_config.h"

namespace vernier::calib {

class LightningIndexer {
 public:
  // Of the attention `module` in a layer that has one.
  LightningIndexer(const TensorLoader& loader, const checkpoint::DecoderConfig& config,
                   const std::string& module, const checkpoint::LatentAttentionConfig& attention);

  // What a sequence's queries are scored by.
  struct Sequence {
    at::Tensor q_in;        // [B, S, q_lora_rank], input of the projection of queries
    at::Tensor weights_in;  // [B, S, D], of that of the heads' weights
  };
  // x [B, S, D] and low_rank [B, S, q_lora_rank] are what the attention's own projections read.
  // Observes both, as inputs of wq_b and weights_proj.
  Sequence TakeInputs(const at::Tensor& x, const at::Tensor& low_rank, const TokenBatch& batch,
                      Tap& tap) const;

  // Of x's tokens, [B, S, head_dim]; observes the input of wk.
  at::Tensor Keys(const at::Tensor& x, const RopeTable& rope, const TokenBatch& batch,
                  Tap& tap) const;

  // The `top_k` best of the keys [B, K, head_dim] up to each of the queries [begin, end), which are
  // the last of K: bool [B, C, K]. Among equal scores the lower key comes first. Undefined where
  // nobody sees more than that. `rope`: of the C queries.
  at::Tensor Choose(const Sequence& sequence, int64_t begin, int64_t end, const RopeTable& rope,
                    const at::Tensor& keys) const;

 private:
  checkpoint::IndexerConfig config_;
  LinearLayer wq_b_, wk_;
  std::string weights_module_;
  at::Tensor weights_proj_;          // [heads, D], compute dtype
  at::Tensor k_norm_, k_norm_bias_;  // [head_dim], F32
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_LIGHTNING_INDEXER_H_

// The lightning indexer: which compressed entries a query may see.
#ifndef VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_INDEXER_H_
#define VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_INDEXER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string>

#include "calib/families/deepseek_v4/compressor.h"
#include "calib/families/deepseek_v4/rope.h"
#include "calib/tensor_loader.h"
#include "checkpoint/families/deepseek_v4_config.h"

namespace vernier::calib::deepseek_v4 {

// Weights below `module` ("layers.2.attn.indexer").
class Indexer {
 public:
  Indexer(const TensorLoader& loader, const std::string& module, const at::Tensor& rope_frequencies,
          const checkpoint::DeepseekV4Config& config);

  const at::Tensor& wq_b() const { return wq_b_; }

  // Its entries are the keys [B, W, index_head_dim].
  const Compressor& compressor() const { return compressor_; }

  // Narrows `causal` [1, C, V] (entry before query) to the index_topk best entries of each query,
  // the lower entry first among equals -> bool [B, C, V]. x [B, C, D], qr (wq_b's input)
  // [B, C, q_lora_rank] and `rope` are those of the C queries, keys [B, V, index_head_dim] those of
  // the V entries.
  at::Tensor Select(const at::Tensor& x, const at::Tensor& qr, const RopeTable& rope,
                    const at::Tensor& keys, const at::Tensor& causal) const;

 private:
  at::Tensor Scores(const at::Tensor& x, const at::Tensor& qr, const RopeTable& rope,
                    const at::Tensor& keys) const;

  Compressor compressor_;
  at::Tensor wq_b_;          // [heads * head_dim, q_lora_rank], compute dtype
  at::Tensor weights_proj_;  // [heads, D], compute dtype
  int64_t heads_, head_dim_, top_k_;
};

}  // namespace vernier::calib::deepseek_v4

#endif  // VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_INDEXER_H_

// The fields of a DeepSeek-V4 config.json that its layout and its forward pass need.
#ifndef VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_CONFIG_H_
#define VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_CONFIG_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/json.h"

namespace vernier::checkpoint {

// The compression ratio of layers whose attention has an indexer.
inline constexpr int64_t kSparseRatio = 4;

enum class DeepseekV4Attention {
  kWindow,      // the last sliding_window tokens alone
  kCompressed,  // and all compressed ones before
  kIndexed,     // and of those the ones that an indexer chooses
};
enum class DeepseekV4Router {
  kScores,  // the best experts by score
  kHashed,  // each token's own, by a table
};

// One layer; all have the same sizes but for the ratio.
struct DeepseekV4Block {
  DeepseekV4Attention attention = DeepseekV4Attention::kWindow;
  int64_t compress_ratio =
      0;  // tokens of a compressed one: 0 for kWindow, kSparseRatio for kIndexed
  DeepseekV4Router router = DeepseekV4Router::kScores;

  bool compresses() const { return attention != DeepseekV4Attention::kWindow; }
  bool indexes() const { return attention == DeepseekV4Attention::kIndexed; }
  bool hashes() const { return router == DeepseekV4Router::kHashed; }
};

struct YarnScaling {
  double factor = 1.0;  // 1: no scaling
  double beta_fast = 32.0;
  double beta_slow = 1.0;
  double original_max_position_embeddings = 0;
};

struct DeepseekV4Config {
  int64_t vocab_size, hidden_size, num_attention_heads, head_dim;
  int64_t q_lora_rank, o_lora_rank, o_groups, qk_rope_head_dim, sliding_window;
  int64_t index_topk, index_n_heads, index_head_dim;
  int64_t hc_mult, hc_sinkhorn_iters;
  double hc_eps, rms_norm_eps;
  int64_t n_routed_experts, n_shared_experts, num_experts_per_tok;
  int64_t moe_intermediate_size, num_nextn_predict_layers;
  double swiglu_limit, routed_scaling_factor;
  bool norm_topk_prob;
  double rope_theta, compress_rope_theta;
  YarnScaling yarn;  // applies to layers with a compression ratio
  std::vector<DeepseekV4Block> blocks;

  int64_t layers() const { return static_cast<int64_t>(blocks.size()); }
  const DeepseekV4Block& block(int64_t layer) const {
    return blocks.at(static_cast<size_t>(layer));
  }
};

// Accepts the released form (compress_ratios, flat rope fields, rope_scaling) and the
// transformers-5 form (compress_rates + layer_types, nested rope_parameters/rope_scaling {main,
// compress}). kBadConfig names a missing or impossible field.
DeepseekV4Config ParseDeepseekV4Config(const Json& config);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_CONFIG_H_

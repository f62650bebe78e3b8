// What decoders in Hugging Face's names are made of, as far as their layout and their forward pass
// need it. One parser per family, in the family's file.
#ifndef VERNIER_CHECKPOINT_FAMILIES_DECODER_CONFIG_H_
#define VERNIER_CHECKPOINT_FAMILIES_DECODER_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "checkpoint/families/rope_config.h"

namespace vernier::checkpoint {

// self_attn with q_proj, k_proj, v_proj and o_proj.
struct GroupedQueryConfig {
  int64_t key_value_heads = 0;  // each serves heads / key_value_heads query heads
  int64_t head_dim = 0;
  bool qkv_bias = false;
  bool output_bias = false;
  bool qk_norm = false;          // q_norm and k_norm over each head, before the rotation
  std::vector<int64_t> windows;  // [layers]: last keys that a query sees, its own included; 0: all
};

// self_attn with keys and values of all heads from one latent vector (arXiv 2405.04434).
struct LatentAttentionConfig {
  int64_t q_lora_rank = 0;  // 0: queries come from q_proj, not from q_a_proj and q_b_proj
  int64_t kv_lora_rank = 0;
  int64_t qk_nope_head_dim = 0;  // channels of a head that are not rotated
  int64_t qk_rope_head_dim = 0;  // channels that are; keys share them between heads
  int64_t v_head_dim = 0;
  bool bias = false;        // of q_a_proj, kv_a_proj_with_mqa and o_proj
  bool interleaved = true;  // the rotation pairs neighbouring channels, not halves

  int64_t qk_head_dim() const { return qk_nope_head_dim + qk_rope_head_dim; }
};

// Routed experts of the layers that have them.
struct ExpertsConfig {
  int64_t count = 0;  // 0: no layer has any
  int64_t per_token = 0;
  int64_t width = 0;         // intermediate size
  int64_t shared_width = 0;  // of the shared experts together; 0: none
  bool normalize = true;     // the chosen weights of a token are made to sum to 1
  // Sigmoid routing in groups (DeepSeek-V3).
  bool correction_bias = false;  // added to the scores for the choice alone
  int64_t groups = 1;            // experts are chosen in the best `chosen_groups` of them
  int64_t chosen_groups = 1;
  double scaling_factor = 1;
};

// Modules of a layer's feed-forward network.
struct FfnNames {
  std::string module = "mlp";
  std::string gate = "gate_proj";  // of a dense MLP, an expert and the shared experts
  std::string up = "up_proj";
  std::string down = "down_proj";
};

struct DecoderConfig {
  int64_t vocab_size = 0, hidden_size = 0, layers = 0, heads = 0;
  int64_t mtp_layers = 0;       // stored behind the decoder layers
  int64_t dense_mlp_width = 0;  // intermediate size of layers without routed experts
  double norm_eps = 0;
  bool tied_embeddings = false;  // the head is the embedding
  bool mlp_bias = false;
  bool latent_attention = false;  // which of the two below
  GroupedQueryConfig grouped_query;
  LatentAttentionConfig latent;
  RopeConfig rope;
  ExpertsConfig experts;
  std::vector<bool> routed;  // [layers]: which have routed experts
  FfnNames names;
};

// One per family; kBadConfig names a missing or impossible field, or a variant that the forward
// pass does not compute.
DecoderConfig ParseLlamaConfig(const Json& config);
DecoderConfig ParseMistralConfig(const Json& config);
DecoderConfig ParseMixtralConfig(const Json& config);
DecoderConfig ParseQwen2Config(const Json& config);
DecoderConfig ParseQwen3Config(const Json& config);
DecoderConfig ParseQwen3MoeConfig(const Json& config);
DecoderConfig ParseDeepseekV3Config(const Json& config);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_DECODER_CONFIG_H_

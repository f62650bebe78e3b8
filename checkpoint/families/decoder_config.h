// What decoders in Hugging Face's names are made of, as far as their layout and their forward pass
// need it: a list of blocks, one a layer, so that a model of unlike layers is data. A family's
// file reads it from config.json.
#ifndef VERNIER_CHECKPOINT_FAMILIES_DECODER_CONFIG_H_
#define VERNIER_CHECKPOINT_FAMILIES_DECODER_CONFIG_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "checkpoint/families/decoder_names.h"
#include "checkpoint/families/rope_config.h"

namespace vernier::checkpoint {

// Queries of position p are multiplied by 1 + beta * ln(1 + floor(p / positions)), so that scores
// of long contexts stay sharp (Llama 4).
struct QueryGrowth {
  double beta = 0;  // 0: they are not
  double positions = 0;
};

// Queries, keys and values of each head, and a projection of what they give.
struct GroupedQueryConfig {
  int64_t key_value_heads = 0;  // each serves heads / key_value_heads query heads
  int64_t head_dim = 0;
  bool qkv_bias = false;
  bool output_bias = false;
  bool qk_norm = false;         // q_norm and k_norm over each head, before the rotation
  bool qk_norm_of_all = false;  // they are over the channels of all heads together
  // Queries, keys and values are rows of one stored matrix (DecoderNames::fused_qkv), in that
  // order.
  bool fused = false;
  bool interleaved = false;  // the rotation pairs neighbouring channels, not halves
  bool sinks = false;        // a score of each head that has no value
  QueryGrowth growth;
  double scale = 0;  // of scores; 0: 1 / sqrt(head_dim)
  // Behind the rows of each head's queries, q_proj has as many that make its gate: what attention
  // gives is multiplied by the gate's sigmoid.
  bool output_gate = false;
};

// Chooses which earlier tokens a query of latent attention sees (DeepSeek-V3.2).
struct IndexerConfig {
  int64_t heads = 0;     // 0: there is none, and a query sees all
  int64_t head_dim = 0;  // of which the first qk_rope_head_dim channels are rotated
  int64_t top_k = 0;     // tokens that a query sees
  bool interleaved = false;
  // The layer sees what the last layer before it with an indexer of its own chose.
  bool shared = false;
};

// Keys and values of all heads from one latent vector (arXiv 2405.04434).
struct LatentAttentionConfig {
  int64_t q_lora_rank = 0;  // 0: queries come from q_proj, not from q_a_proj and q_b_proj
  int64_t kv_lora_rank = 0;
  int64_t qk_nope_head_dim = 0;  // channels of a head that are not rotated
  int64_t qk_rope_head_dim = 0;  // channels that are; keys share them between heads
  int64_t v_head_dim = 0;
  bool bias = false;        // of q_a_proj, kv_a_proj_with_mqa and o_proj
  bool interleaved = true;  // the rotation pairs neighbouring channels, not halves
  // Of the latent vectors' norms: transformers' and DeepSeek's code have it whatever rms_norm_eps.
  double norm_eps = 1e-6;
  IndexerConfig indexer;

  int64_t qk_head_dim() const { return qk_nope_head_dim + qk_rope_head_dim; }
};

// Linear attention by the gated delta rule (arXiv 2412.06464): each value head keeps a state
// [key_head_dim, value_head_dim] instead of keys and values.
struct DeltaNetConfig {
  int64_t key_heads = 0;  // each serves value_heads / key_heads value heads
  int64_t value_heads = 0;
  int64_t key_head_dim = 0;
  int64_t value_head_dim = 0;
  int64_t kernel = 0;  // positions that the convolution of queries, keys and values sees
  // One projection of queries, keys, values and gates, in this order within each key head, and one
  // of what steps and decays are made of (Qwen3-Next).
  bool by_key_head = false;

  int64_t key_width() const { return key_heads * key_head_dim; }
  int64_t value_width() const { return value_heads * value_head_dim; }
  int64_t convolved_width() const { return 2 * key_width() + value_width(); }
};

enum class AttentionKind { kGroupedQuery, kLatent, kDeltaNet };

struct AttentionBlock {
  AttentionKind kind = AttentionKind::kGroupedQuery;
  int64_t heads = 0;
  int64_t window = 0;                // last keys that a query sees, its own included; 0: all
  std::optional<RopeConfig> rope;    // without: the model's
  GroupedQueryConfig grouped_query;  // of kGroupedQuery
  LatentAttentionConfig latent;      // of kLatent
  DeltaNetConfig delta_net;          // of kDeltaNet
};

enum class RouterKind {
  kSoftmax,         // over all experts (Mixtral, Qwen3-MoE)
  kTopSoftmax,      // over the chosen ones (gpt-oss)
  kGroupedSigmoid,  // experts of the best groups, by scores with a correction bias (DeepSeek-V3)
};

struct ExpertsConfig {
  int64_t count = 0;
  int64_t per_token = 0;
  int64_t width = 0;         // intermediate size
  int64_t shared_width = 0;  // of the shared experts together; 0: none
  bool shared_gate = false;  // their output is multiplied by the sigmoid of a projection of x
  RouterKind router = RouterKind::kSoftmax;
  bool normalize = true;      // the chosen weights of a token are made to sum to 1
  int64_t groups = 1;         // of kGroupedSigmoid: experts are chosen in the best
  int64_t chosen_groups = 1;  // `chosen_groups` of them
  double scaling_factor = 1;
  bool bias = false;         // of an expert's gate, up and down
  bool router_bias = false;  // of kTopSoftmax
};

// What becomes of a gate g.
enum class GateKind {
  kSilu,      // g * sigmoid(alpha * g)
  kGelu,      // g times the normal distribution's share below g
  kGeluTanh,  // the same approximated by a tangent (arXiv 1606.08415)
};

// A gated product: gate(min(g, limit)) * (clamp(u, -limit, limit) + up_offset).
struct GateConfig {
  GateKind kind = GateKind::kSilu;
  double alpha = 1;
  double limit = std::numeric_limits<double>::infinity();
  double up_offset = 0;

  bool operator==(const GateConfig&) const = default;
};

enum class FfnKind { kDense, kRouted };

struct FfnBlock {
  FfnKind kind = FfnKind::kDense;
  int64_t width = 0;  // of kDense: intermediate size
  bool bias = false;  // of kDense
  // Of kDense: gate and up are rows of one stored matrix (DecoderNames::fused_gate_up).
  bool fused = false;
  ExpertsConfig experts;  // of kRouted
};

// One layer.
struct DecoderBlock {
  AttentionBlock attention;
  FfnBlock ffn;

  bool routed() const { return ffn.kind == FfnKind::kRouted; }
};

// What llama.cpp makes of a family; without a name it has none such.
struct GgufArchitecture {
  std::string_view name = {};  // "llama"
  bool rotary_pairs = false;   // it rotates neighbouring channels where the release rotates halves
  // Whether its graph multiplies by the scales beside weights of attention and of the FFN. Without
  // them, NVFP4 is nothing but wrong.
  bool attention_scales = false, ffn_scales = false;
};

// Constants that some families multiply with.
struct Multipliers {
  double embedding = 1;
  bool rounds_embedding = false;  // it is rounded to the embedding's dtype first
  double residual = 1;            // what attention and FFN add to the residual
  double logits = 1;
  double logits_softcap = 0;  // c, if not 0: logits l become c * tanh(l / c)

  bool operator==(const Multipliers&) const = default;
};

struct DecoderConfig {
  int64_t vocab_size = 0, hidden_size = 0;
  int64_t mtp_layers = 0;              // stored behind the decoder layers
  int64_t unannounced_mtp_layers = 0;  // FamilyFacts
  double norm_eps = 0;
  bool unit_offset_norms = false;  // a norm multiplies by 1 plus its stored weight
  bool tied_embeddings = false;    // the head is the embedding
  GateConfig gate;                 // of all feed-forward networks
  Multipliers multipliers;
  RopeConfig rope;
  DecoderNames names;
  // How the stacks of experts lie (StackRow), in checkpoints that have these and no single experts.
  bool interleaved_stacks = false, transposed_stacks = false;
  bool released_stacks = false;  // releases have them, and engines load these
  GgufArchitecture gguf;
  // Why engines do not load quantised routed experts one by one, as a sentence goes on; empty: they
  // do.
  std::string_view experts_obstacle = {};
  std::vector<DecoderBlock> blocks;

  int64_t layers() const { return static_cast<int64_t>(blocks.size()); }
  const DecoderBlock& block(int64_t layer) const { return blocks.at(static_cast<size_t>(layer)); }
  const RopeConfig& Rope(int64_t layer) const {
    const std::optional<RopeConfig>& own = block(layer).attention.rope;
    return own ? *own : rope;
  }
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_DECODER_CONFIG_H_

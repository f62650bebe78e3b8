#include "checkpoint/families/deepseek_v4_config.h"

#include <string>

#include "checkpoint/families/config_reader.h"
#include "checkpoint/families/deepseek_v4_patches.h"

namespace vernier::checkpoint {
namespace {

// The compression ratio of layers without an indexer.
constexpr int64_t kDenseRatio = 128;

// Variants that the published models do not use and that the forward pass does not compute.
void RequireKnownDeepseekV4(const ConfigReader& reader) {
  reader.RequireValue("scoring_func", "sqrtsoftplus");
  reader.RequireValue("topk_method", "noaux_tc");
  reader.RequireValue("hidden_act", "silu");
  reader.RequireValue("num_key_value_heads", 1);
  reader.RequireValue("attention_bias", false);
  reader.RequireValue("tie_word_embeddings", false);
}

void ReadAttention(const ConfigReader& reader, DeepseekV4Config* config) {
  config->num_attention_heads = reader.Integer("num_attention_heads");
  config->head_dim = reader.Integer("head_dim");
  config->q_lora_rank = reader.Integer("q_lora_rank");
  config->o_lora_rank = reader.Integer("o_lora_rank");
  config->o_groups = reader.Integer("o_groups");
  config->qk_rope_head_dim = reader.Integer("qk_rope_head_dim", 2);
  config->sliding_window = reader.Integer("sliding_window");
  config->index_topk = reader.Integer("index_topk");
  config->index_n_heads = reader.Integer("index_n_heads");
  config->index_head_dim = reader.Integer("index_head_dim");
  const int64_t rope = config->qk_rope_head_dim;
  if (config->num_attention_heads % config->o_groups != 0) {
    reader.Fail("o_groups", "is " + std::to_string(config->o_groups) + ", which does not divide " +
                                std::to_string(config->num_attention_heads) + " heads");
  }
  if (rope % 2 != 0 || rope > config->head_dim || rope > config->index_head_dim) {
    reader.Fail(
        "qk_rope_head_dim",
        "is " + std::to_string(rope) + "; it must be even and at most head_dim and index_head_dim");
  }
}

void ReadExperts(const ConfigReader& reader, DeepseekV4Config* config) {
  const int64_t hashed = reader.Integer("num_hash_layers", 0, config->layers());
  for (int64_t layer = 0; layer < hashed; ++layer) {
    config->blocks[static_cast<size_t>(layer)].router = DeepseekV4Router::kHashed;
  }
  config->n_routed_experts = reader.Integer("n_routed_experts", 1, kMaxExperts);
  const int64_t layers = config->layers() + config->num_nextn_predict_layers;
  if (config->n_routed_experts * layers > kMaxExpertsOfAllLayers) {
    reader.Fail("n_routed_experts", "is " + std::to_string(config->n_routed_experts) +
                                        " in each of " + std::to_string(layers) +
                                        " layers, more than " +
                                        std::to_string(kMaxExpertsOfAllLayers) + " in all");
  }
  config->n_shared_experts = reader.Integer("n_shared_experts", 1, kMaxExperts);
  config->num_experts_per_tok = reader.Integer("num_experts_per_tok", 1, config->n_routed_experts);
  config->moe_intermediate_size = reader.Integer("moe_intermediate_size");
  config->swiglu_limit = reader.Number("swiglu_limit");
  config->routed_scaling_factor = reader.Number("routed_scaling_factor");
  config->norm_topk_prob = reader.Boolean("norm_topk_prob");
}

void ReadResidualStreams(const ConfigReader& reader, DeepseekV4Config* config) {
  config->hc_mult = reader.Integer("hc_mult", 1, 64);
  config->hc_sinkhorn_iters = reader.Integer("hc_sinkhorn_iters", 1, 10'000);
  config->hc_eps = reader.Number("hc_eps", /*allow_zero=*/true);
  config->rms_norm_eps = reader.Number("rms_norm_eps");
}

void ReadRope(const ConfigReader& reader, DeepseekV4Config* config) {
  config->rope_theta = reader.Number("rope_theta");
  config->compress_rope_theta = reader.Number("compress_rope_theta");
  const Json* scaling = reader.Find("rope_scaling");
  if (scaling == nullptr) {
    if (reader.Find("rope_parameters") == nullptr) return;
    reader.Fail("rope_parameters", "has no main and compress parts, and there is no rope_scaling");
  }
  const ConfigReader yarn(*scaling, "rope_scaling.");
  yarn.RequireValue("type", "yarn");
  yarn.RequireValue("rope_type", "yarn");
  config->yarn.factor = yarn.Number("factor");
  config->yarn.beta_fast = yarn.NumberOr("beta_fast", config->yarn.beta_fast);
  config->yarn.beta_slow = yarn.NumberOr("beta_slow", config->yarn.beta_slow);
  config->yarn.original_max_position_embeddings = yarn.Number("original_max_position_embeddings");
}

DeepseekV4Block BlockOf(int64_t ratio) {
  if (ratio == 0) return {};
  return {.attention = ratio == kSparseRatio ? DeepseekV4Attention::kIndexed
                                             : DeepseekV4Attention::kCompressed,
          .compress_ratio = ratio};
}

std::vector<DeepseekV4Block> ReadBlocks(const ConfigReader& reader, int64_t layers) {
  const Json& list = reader.Require("compress_ratios");
  if (!list.is_array() || static_cast<int64_t>(list.size()) < layers) {
    reader.Fail("compress_ratios",
                "is no list with an entry for each of the " + std::to_string(layers) + " layers");
  }
  std::vector<DeepseekV4Block> blocks;
  for (int64_t i = 0; i < layers; ++i) {
    const Json& ratio = list[static_cast<size_t>(i)];
    if (ratio != 0 && ratio != kSparseRatio && ratio != kDenseRatio) {
      reader.Fail("compress_ratios", "holds " + ratio.dump() + "; known are 0, 4 and 128");
    }
    blocks.push_back(BlockOf(ratio.get<int64_t>()));
  }
  return blocks;
}

}  // namespace

DeepseekV4Config ParseDeepseekV4Config(const Json& config) {
  Json released = config;
  PatchDeepseekV4Config(released);
  const ConfigReader reader(released);
  RequireKnownDeepseekV4(reader);

  DeepseekV4Config parsed = {};
  parsed.vocab_size = reader.Integer("vocab_size");
  parsed.hidden_size = reader.Integer("hidden_size");
  const int64_t layers = reader.Integer("num_hidden_layers", 1, kMaxLayers);
  parsed.num_nextn_predict_layers = reader.IntegerOr("num_nextn_predict_layers", 0, 0, kMaxLayers);
  parsed.blocks = ReadBlocks(reader, layers);
  ReadAttention(reader, &parsed);
  ReadExperts(reader, &parsed);
  ReadResidualStreams(reader, &parsed);
  ReadRope(reader, &parsed);
  return parsed;
}

}  // namespace vernier::checkpoint

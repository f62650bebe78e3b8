#include "checkpoint/families/deepseek_fields.h"

#include <algorithm>
#include <string>

#include "checkpoint/families/decoder_fields.h"

namespace vernier::checkpoint {
namespace {

constexpr int64_t kDenseLayers = 3;  // transformers' configuration_deepseek_v3.py

LatentAttentionConfig ReadLatentSizes(const ConfigReader& reader) {
  LatentAttentionConfig latent;
  latent.q_lora_rank = reader.IntegerOr("q_lora_rank", 0);
  latent.kv_lora_rank = reader.Integer("kv_lora_rank");
  latent.qk_nope_head_dim = reader.Integer("qk_nope_head_dim");
  latent.qk_rope_head_dim = reader.Integer("qk_rope_head_dim", 2);
  latent.v_head_dim = reader.Integer("v_head_dim");
  latent.bias = reader.BooleanOr("attention_bias", false);
  latent.interleaved = reader.BooleanOr("rope_interleave", true);
  if (latent.qk_rope_head_dim % 2 != 0) {
    reader.Fail("qk_rope_head_dim", "is " + std::to_string(latent.qk_rope_head_dim) +
                                        "; a rotary embedding needs an even number of channels");
  }
  return latent;
}

// Groups of experts, of which a token's experts come from some.
void ReadGroups(const ConfigReader& reader, ExpertsConfig* experts) {
  experts->groups = reader.Integer("n_group");
  experts->chosen_groups = reader.Integer("topk_group", 1, experts->groups);
  const int64_t size = experts->count / experts->groups;
  if (experts->count % experts->groups != 0) {
    reader.Fail("n_group", "is " + std::to_string(experts->groups) + ", which does not divide " +
                               std::to_string(experts->count) + " experts");
  }
  // A group's score is the sum of its two best.
  if (experts->groups > 1 && size < 2) reader.Fail("n_group", "leaves fewer than two experts each");
  if (experts->per_token > size * experts->chosen_groups) {
    reader.Fail("topk_group", "leaves fewer experts than num_experts_per_tok");
  }
}

}  // namespace

void RequireDeepseekRouting(const ConfigReader& reader) {
  reader.RequireValue("scoring_func", "sigmoid");
  reader.RequireValue("topk_method", "noaux_tc");
  reader.RequireValue("moe_layer_freq", 1);
}

void ReadLatentAttention(const ConfigReader& reader, DecoderConfig* config) {
  const LatentAttentionConfig latent = ReadLatentSizes(reader);
  for (DecoderBlock& block : config->blocks) {
    block.attention.kind = AttentionKind::kLatent;
    block.attention.latent = latent;
  }
}

std::vector<bool> ReadLayersBehindDense(const ConfigReader& reader, int64_t dense_layers,
                                        const DecoderConfig& config) {
  std::vector<bool> routed(config.blocks.size(), true);
  const int64_t dense = reader.IntegerOr("first_k_dense_replace", dense_layers, 0);
  std::fill_n(routed.begin(), std::min(dense, config.layers()), false);
  return routed;
}

void ReadGroupedExperts(const ConfigReader& reader, const std::vector<bool>& routed,
                        DecoderConfig* config) {
  ExpertsConfig experts = ReadExperts(reader,
                                      {.count = "n_routed_experts",
                                       .per_token = "num_experts_per_tok",
                                       .width = "moe_intermediate_size"},
                                      *config);
  experts.shared_width = reader.Integer("n_shared_experts", 0) * experts.width;
  experts.router = RouterKind::kGroupedSigmoid;
  experts.normalize = reader.BooleanOr("norm_topk_prob", true);
  experts.scaling_factor = reader.Number("routed_scaling_factor");
  ReadGroups(reader, &experts);
  RouteBlocks(experts, routed, config);
}

std::vector<bool> ReadLayersOfMlpTypes(const ConfigReader& reader, int64_t dense_layers,
                                       const DecoderConfig& config) {
  constexpr const char* kField = "mlp_layer_types";
  if (reader.Find(kField) == nullptr) return ReadLayersBehindDense(reader, dense_layers, config);
  std::vector<bool> routed;
  for (const size_t type : ReadEachLayer(reader, kField, config.layers(), {"dense", "sparse"})) {
    routed.push_back(type == 1);
  }
  return routed;
}

IndexerConfig ReadIndexer(const ConfigReader& reader, const DecoderConfig& config) {
  const int64_t rotated = config.blocks.front().attention.latent.qk_rope_head_dim;
  IndexerConfig indexer;
  indexer.heads = reader.Integer("index_n_heads");
  indexer.head_dim = reader.Integer("index_head_dim", rotated);
  indexer.top_k = reader.Integer("index_topk");
  return indexer;
}

DecoderConfig ReadSparseDeepseek(const ConfigReader& reader) {
  RequireDeepseekRouting(reader);
  reader.RequireValue("rope_interleave", true);
  reader.RequireValue("mlp_bias", false);
  reader.Integer("q_lora_rank");  // indexers read the queries' latent vector
  DecoderConfig config = ReadDecoderSizes(reader);
  config.mtp_layers = reader.IntegerOr("num_nextn_predict_layers", 0, 0);
  ReadLatentAttention(reader, &config);
  config.rope = ParseRopeConfig(reader);
  ReadGroupedExperts(reader, ReadLayersOfMlpTypes(reader, kDenseLayers, config), &config);
  return config;
}

DecoderConfig ReadDeepseekV3(const ConfigReader& reader) {
  RequireDeepseekRouting(reader);
  DecoderConfig config = ReadDecoderSizes(reader);
  config.mtp_layers = reader.IntegerOr("num_nextn_predict_layers", 0, 0);
  ReadLatentAttention(reader, &config);
  config.rope = ParseRopeConfig(reader);
  ReadGroupedExperts(reader, ReadLayersBehindDense(reader, kDenseLayers, config), &config);
  return config;
}

}  // namespace vernier::checkpoint

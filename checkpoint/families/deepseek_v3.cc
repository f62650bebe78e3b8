// DeepSeek-V3, R1 and V3.1: latent attention, dense first layers, then shared and routed experts.
#include <algorithm>

#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {
namespace {

// Variants that the published models do not use and that the forward pass does not compute.
void RequireKnownDeepseekV3(const ConfigReader& reader) {
  reader.RequireValue("scoring_func", "sigmoid");
  reader.RequireValue("topk_method", "noaux_tc");
  reader.RequireValue("moe_layer_freq", 1);
}

LatentAttentionConfig ReadLatentAttention(const ConfigReader& reader) {
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
  experts->groups = reader.IntegerOr("n_group", 1);
  experts->chosen_groups = reader.IntegerOr("topk_group", 1, 1, experts->groups);
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

ExpertsConfig ReadV3Experts(const ConfigReader& reader, const DecoderConfig& config) {
  ExpertsConfig experts = ReadExperts(reader,
                                      {.count = "n_routed_experts",
                                       .per_token = "num_experts_per_tok",
                                       .width = "moe_intermediate_size"},
                                      config);
  experts.shared_width = reader.IntegerOr("n_shared_experts", 0, 0) * experts.width;
  experts.router = RouterKind::kGroupedSigmoid;
  experts.normalize = reader.BooleanOr("norm_topk_prob", true);
  experts.scaling_factor = reader.NumberOr("routed_scaling_factor", 1);
  ReadGroups(reader, &experts);
  return experts;
}

DecoderConfig ParseDeepseekV3Config(const Json& json) {
  const ConfigReader reader(json);
  RequireKnownDeepseekV3(reader);
  DecoderConfig config = ReadDecoderSizes(reader);
  config.mtp_layers = reader.IntegerOr("num_nextn_predict_layers", 0, 0);
  for (DecoderBlock& block : config.blocks) {
    block.attention.kind = AttentionKind::kLatent;
    block.attention.latent = ReadLatentAttention(reader);
  }
  config.rope = ParseRopeConfig(reader);
  const ExpertsConfig experts = ReadV3Experts(reader, config);
  std::vector<bool> routed(config.blocks.size(), true);
  const int64_t dense = reader.IntegerOr("first_k_dense_replace", 0, 0);
  std::fill_n(routed.begin(), std::min(dense, config.layers()), false);
  RouteBlocks(experts, routed, &config);
  config.gguf = {.name = "deepseek2"};
  return config;
}

}  // namespace

std::unique_ptr<Family> MakeDeepseekV3Family(const Json& config) {
  return MakeHfFamily("deepseek_v3", ParseDeepseekV3Config(config));
}

}  // namespace vernier::checkpoint

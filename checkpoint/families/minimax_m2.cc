// MiniMax-M2: grouped queries with norms over all heads together and a rotation of the first
// channels of each, and routed experts in every layer.
#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {
namespace {

// Those of transformers' configuration (configuration_minimax_m2.py).
constexpr int64_t kMinimaxHeadDim = 128;
constexpr double kMinimaxTheta = 5e6;

constexpr int kMinimaxFullAttention = 1;

// Fields of the MiniMax architectures with whose other values nobody computes an M2.
void RequireKnownMinimax(const ConfigReader& reader) {
  reader.RequireValue("scoring_func", "sigmoid");
  reader.RequireValue("use_routing_bias", true);
  reader.RequireValue("use_qk_norm", true);
  reader.RequireValue("qk_norm_type", "per_layer");
  reader.RequireValue("attention_bias", false);
  reader.RequireValue("shared_intermediate_size", 0);
  reader.RequireValue("sliding_window", nullptr);
  for (const char* beta : {"layernorm_full_attention_beta", "layernorm_mlp_beta"}) {
    reader.RequireValue(beta, 1.0);
  }
  const Json* types = reader.Find("attn_type_list");
  if (types == nullptr) return;
  for (const Json& type : *types) {
    if (type != kMinimaxFullAttention) {
      reader.Fail("attn_type_list", "holds " + type.dump() + ", which is no attention to all");
    }
  }
}

void SetNames(DecoderNames* names) {
  names->ffn = "block_sparse_moe";
  names->correction_bias = "e_score_correction_bias";
  names->gate = "w1";
  names->up = "w3";
  names->down = "w2";
  names->gate_up = "w1w3";
}

DecoderConfig ParseMinimaxM2Config(const Json& json) {
  const ConfigReader reader(json);
  RequireKnownMinimax(reader);
  DecoderConfig config = ReadDecoderSizes(reader);
  SetNames(&config.names);
  config.mtp_layers = 0;  // releases hold none of the num_mtp_modules that they announce
  ReadGroupedQueryHeads(reader, kMinimaxHeadDim, &config);
  ReadPartialRope(reader, {.theta = kMinimaxTheta, .partial_factor = 1.0}, &config);
  for (DecoderBlock& block : config.blocks) {
    block.attention.grouped_query.qk_norm = true;
    block.attention.grouped_query.qk_norm_of_all = true;
  }
  ExpertsConfig experts = ReadExperts(reader,
                                      {.count = "num_local_experts",
                                       .per_token = "num_experts_per_tok",
                                       .width = "intermediate_size"},
                                      config);
  experts.router = RouterKind::kGroupedSigmoid;
  RouteBlocks(experts, std::vector<bool>(config.blocks.size(), true), &config);
  return config;
}

}  // namespace

std::unique_ptr<Family> MakeMinimaxM2Family(const Json& config) {
  return MakeHfFamily("minimax_m2", ParseMinimaxM2Config(config));
}

}  // namespace vernier::checkpoint

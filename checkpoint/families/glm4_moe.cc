// GLM-4.5 to 4.7: grouped queries of which half of a head is rotated, dense first layers, then
// shared and routed experts.
#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/deepseek_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {
namespace {

// Those of transformers' configuration (configuration_glm4_moe.py).
constexpr int64_t kGlm4DenseLayers = 1;
constexpr double kGlm4NormEps = 1e-5, kGlm4PartialFactor = 0.5;

DecoderConfig ParseGlm4MoeConfig(const Json& json) {
  const ConfigReader reader(json);
  RequireDeepseekRouting(reader);
  DecoderConfig config = ReadDecoderSizes(reader);
  config.norm_eps = reader.NumberOr("rms_norm_eps", kGlm4NormEps);
  config.mtp_layers = reader.IntegerOr("num_nextn_predict_layers", 0, 0);
  ReadGroupedQueryHeads(reader, /*default_head_dim=*/{}, &config);
  ReadPartialRope(reader, {.partial_factor = kGlm4PartialFactor}, &config);
  const bool bias = reader.BooleanOr("attention_bias", false);
  const bool qk_norm = reader.BooleanOr("use_qk_norm", false);
  for (DecoderBlock& block : config.blocks) {
    block.attention.grouped_query.qkv_bias = bias;
    block.attention.grouped_query.qk_norm = qk_norm;
  }
  ReadGroupedExperts(reader, ReadLayersBehindDense(reader, kGlm4DenseLayers, config), &config);
  return config;
}

}  // namespace

std::unique_ptr<Family> MakeGlm4MoeFamily(const Json& config) {
  return MakeHfFamily("glm4_moe", ParseGlm4MoeConfig(config));
}

}  // namespace vernier::checkpoint

// GLM-4 of 2025 (GLM-4-0414, GLM-Z1): norms before and behind attention and MLP, rotations of
// neighbouring channels in the first half of a head, gate and up in one matrix.
#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {
namespace {

constexpr int64_t kGlm4HeadDim = 128;
constexpr double kGlm4Eps = 1.5625e-7;
constexpr RopeDefaults kGlm4Rope = {.partial_factor = 0.5};

DecoderConfig ParseGlm4Config(const Json& json) {
  const ConfigReader reader(json);
  DecoderConfig config = ReadDecoderSizes(reader);
  config.norm_eps = reader.NumberOr("rms_norm_eps", kGlm4Eps);
  ReadGroupedQueryHeads(reader, kGlm4HeadDim, &config);
  ReadPartialRope(reader, kGlm4Rope, &config);
  config.names.attention_post_norm = "post_self_attn_layernorm";
  config.names.ffn_post_norm = "post_mlp_layernorm";
  const bool attention_bias = reader.BooleanOr("attention_bias", true);
  for (DecoderBlock& block : config.blocks) {
    block.attention.grouped_query.qkv_bias = attention_bias;
    block.attention.grouped_query.interleaved = true;
    block.ffn.fused = true;
  }
  return config;
}

}  // namespace

std::unique_ptr<Family> MakeGlm4Family(const Json& config) {
  return MakeHfFamily("glm4", ParseGlm4Config(config));
}

}  // namespace vernier::checkpoint

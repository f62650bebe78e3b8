// OLMo 2: Llama's layers with norms behind attention and MLP instead of before them, and norms over
// all heads of queries and keys.
#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {
namespace {

constexpr double kOlmo2Eps = 1e-5;

DecoderConfig ParseOlmo2Config(const Json& json) {
  const ConfigReader reader(json);
  DecoderConfig config = ReadDecoderSizes(reader);
  config.norm_eps = reader.NumberOr("rms_norm_eps", kOlmo2Eps);
  ReadGroupedQueryHeads(reader, /*default_head_dim=*/{}, &config);
  config.rope = ParseRopeConfig(reader);
  config.names.attention_norm = config.names.ffn_norm = "";
  config.names.attention_post_norm = "post_attention_layernorm";
  config.names.ffn_post_norm = "post_feedforward_layernorm";
  const bool attention_bias = reader.BooleanOr("attention_bias", false);
  for (DecoderBlock& block : config.blocks) {
    block.attention.grouped_query.qk_norm = true;
    block.attention.grouped_query.qk_norm_of_all = true;
    block.attention.grouped_query.qkv_bias = attention_bias;
    block.attention.grouped_query.output_bias = attention_bias;
  }
  return config;
}

}  // namespace

std::unique_ptr<Family> MakeOlmo2Family(const Json& config) {
  return MakeHfFamily("olmo2", ParseOlmo2Config(config));
}

}  // namespace vernier::checkpoint

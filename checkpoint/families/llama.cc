// Llama 2 and 3, and models that took over their architecture.
#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {

const GgufArchitecture kGgufLlama = {
    .name = "llama", .rotary_pairs = true, .attention_scales = true, .ffn_scales = true};

namespace {

DecoderConfig ParseLlamaConfig(const Json& json) {
  const ConfigReader reader(json);
  DecoderConfig config = ReadDecoderSizes(reader);
  ReadGroupedQueryHeads(reader, /*default_head_dim=*/{}, &config);
  config.rope = ParseRopeConfig(reader);
  const bool attention_bias = reader.BooleanOr("attention_bias", false);
  const bool mlp_bias = reader.BooleanOr("mlp_bias", false);
  for (DecoderBlock& block : config.blocks) {
    block.attention.grouped_query.qkv_bias = attention_bias;
    block.attention.grouped_query.output_bias = attention_bias;
    block.ffn.bias = mlp_bias;
  }
  config.gguf = kGgufLlama;
  return config;
}

}  // namespace

std::unique_ptr<Family> MakeLlamaFamily(const Json& config) {
  return MakeHfFamily("llama", ParseLlamaConfig(config));
}

}  // namespace vernier::checkpoint

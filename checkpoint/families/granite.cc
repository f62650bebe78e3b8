// Granite 3: Llama's layers with a factor on embedding, residual, attention's scores and logits.
#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {
namespace {

DecoderConfig ParseGraniteConfig(const Json& json) {
  const ConfigReader reader(json);
  DecoderConfig config = ReadDecoderSizes(reader);
  ReadGroupedQueryHeads(reader, /*default_head_dim=*/{}, &config);
  config.rope = ParseRopeConfig(reader);
  config.multipliers.embedding = reader.NumberOr("embedding_multiplier", 1);
  config.multipliers.residual = reader.NumberOr("residual_multiplier", 1);
  config.multipliers.logits = 1 / reader.NumberOr("logits_scaling", 1);
  const bool attention_bias = reader.BooleanOr("attention_bias", false);
  const bool mlp_bias = reader.BooleanOr("mlp_bias", false);
  for (DecoderBlock& block : config.blocks) {
    block.attention.grouped_query.scale = reader.NumberOr("attention_multiplier", 1);
    block.attention.grouped_query.qkv_bias = attention_bias;
    block.attention.grouped_query.output_bias = attention_bias;
    block.ffn.bias = mlp_bias;
  }
  return config;
}

}  // namespace

std::unique_ptr<Family> MakeGraniteFamily(const Json& config) {
  return MakeHfFamily("granite", ParseGraniteConfig(config));
}

}  // namespace vernier::checkpoint

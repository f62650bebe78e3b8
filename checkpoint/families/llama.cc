// Llama 2 and 3, and models that took over their architecture.
#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {

DecoderConfig ParseLlamaConfig(const Json& json) {
  const ConfigReader reader(json);
  DecoderConfig config = ReadDecoderSizes(reader);
  ReadGroupedQueryHeads(reader, /*default_head_dim=*/{}, &config);
  config.rope = ParseRopeConfig(reader);
  config.grouped_query.qkv_bias = reader.BooleanOr("attention_bias", false);
  config.grouped_query.output_bias = config.grouped_query.qkv_bias;
  config.mlp_bias = reader.BooleanOr("mlp_bias", false);
  return config;
}

std::unique_ptr<Family> MakeLlamaFamily(const Json& config) {
  return MakeHfFamily("llama", ParseLlamaConfig(config));
}

}  // namespace vernier::checkpoint

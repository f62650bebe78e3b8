// Qwen3: norms over each head of queries and keys, a window in some layers.
#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {
namespace {

constexpr int64_t kDefaultHeadDim = 128;

}  // namespace

DecoderConfig ParseQwen3Config(const Json& json) {
  const ConfigReader reader(json);
  DecoderConfig config = ReadDecoderSizes(reader);
  ReadGroupedQueryHeads(reader, kDefaultHeadDim, &config);
  config.rope = ParseRopeConfig(reader);
  config.grouped_query.qk_norm = true;
  config.grouped_query.qkv_bias = reader.BooleanOr("attention_bias", false);
  config.grouped_query.output_bias = config.grouped_query.qkv_bias;
  ReadWindowsByLayer(reader, &config);
  return config;
}

std::unique_ptr<Family> MakeQwen3Family(const Json& config) {
  return MakeHfFamily("qwen3", ParseQwen3Config(config));
}

}  // namespace vernier::checkpoint

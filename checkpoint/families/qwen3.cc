// Qwen3: norms over each head of queries and keys, a window in some layers.
#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {
namespace {

constexpr int64_t kDefaultHeadDim = 128;

DecoderConfig ParseQwen3Config(const Json& json) {
  const ConfigReader reader(json);
  DecoderConfig config = ReadDecoderSizes(reader);
  ReadGroupedQueryHeads(reader, kDefaultHeadDim, &config);
  config.rope = ParseRopeConfig(reader);
  const bool attention_bias = reader.BooleanOr("attention_bias", false);
  for (DecoderBlock& block : config.blocks) {
    block.attention.grouped_query.qk_norm = true;
    block.attention.grouped_query.qkv_bias = attention_bias;
    block.attention.grouped_query.output_bias = attention_bias;
  }
  ReadWindowsByLayer(reader, &config);
  config.gguf = {.name = "qwen3", .attention_scales = true, .ffn_scales = true};
  return config;
}

}  // namespace

std::unique_ptr<Family> MakeQwen3Family(const Json& config) {
  return MakeHfFamily("qwen3", ParseQwen3Config(config));
}

}  // namespace vernier::checkpoint

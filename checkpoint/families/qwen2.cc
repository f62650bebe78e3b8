// Qwen2 and 2.5: Llama's layers with biases on q, k and v, and a window in some layers.
#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {
namespace {

DecoderConfig ParseQwen2Config(const Json& json) {
  const ConfigReader reader(json);
  DecoderConfig config = ReadDecoderSizes(reader);
  ReadGroupedQueryHeads(reader, /*default_head_dim=*/{}, &config);
  config.rope = ParseRopeConfig(reader);
  for (DecoderBlock& block : config.blocks) block.attention.grouped_query.qkv_bias = true;
  ReadWindowsByLayer(reader, &config);
  config.gguf = {.name = "qwen2", .attention_scales = true};
  return config;
}

}  // namespace

std::unique_ptr<Family> MakeQwen2Family(const Json& config) {
  return MakeHfFamily("qwen2", ParseQwen2Config(config));
}

}  // namespace vernier::checkpoint

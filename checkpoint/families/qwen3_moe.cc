// Qwen3-MoE: Qwen3's attention, and routed experts in all or every n-th layer.
#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {
namespace {

DecoderConfig ParseQwen3MoeConfig(const Json& json) {
  const ConfigReader reader(json);
  DecoderConfig config = ReadDecoderSizes(reader);
  ReadGroupedQueryHeads(reader, /*default_head_dim=*/{}, &config);
  config.rope = ParseRopeConfig(reader);
  const bool attention_bias = reader.BooleanOr("attention_bias", false);
  for (DecoderBlock& block : config.blocks) {
    block.attention.grouped_query.qk_norm = true;
    block.attention.grouped_query.qkv_bias = attention_bias;
    block.attention.grouped_query.output_bias = attention_bias;
  }
  if (reader.BooleanOr("use_sliding_window", false)) ReadWindow(reader, kQwenWindow, &config);
  // transformers 5 renames the field.
  const char* count = reader.Find("num_experts") != nullptr ? "num_experts" : "num_local_experts";
  ExpertsConfig experts = ReadExperts(
      reader,
      {.count = count, .per_token = "num_experts_per_tok", .width = "moe_intermediate_size"},
      config);
  experts.normalize = reader.BooleanOr("norm_topk_prob", false);
  RouteBlocks(experts, ReadSparseLayers(reader, config.layers()), &config);
  config.gguf = {.name = "qwen3moe", .attention_scales = true, .ffn_scales = true};
  return config;
}

}  // namespace

std::unique_ptr<Family> MakeQwen3MoeFamily(const Json& config) {
  return MakeHfFamily("qwen3_moe", ParseQwen3MoeConfig(config));
}

}  // namespace vernier::checkpoint

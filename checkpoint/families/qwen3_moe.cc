// Qwen3-MoE: Qwen3's attention, and routed experts in all or every n-th layer.
#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {
namespace {

// Layers with routed experts: every decoder_sparse_step-th, except those in mlp_only_layers.
std::vector<bool> ReadRoutedLayers(const ConfigReader& reader, int64_t layers) {
  const int64_t step = reader.IntegerOr("decoder_sparse_step", 1);
  std::vector<bool> routed;
  for (int64_t layer = 0; layer < layers; ++layer) routed.push_back((layer + 1) % step == 0);
  const Json* dense = reader.Find("mlp_only_layers");
  if (dense == nullptr) return routed;
  for (const Json& layer : *dense) {
    if (!layer.is_number_integer() || layer < 0 || layer >= layers) {
      reader.Fail("mlp_only_layers", "holds " + layer.dump() + ", which is no layer");
    }
    routed[layer.get<size_t>()] = false;
  }
  return routed;
}

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
  RouteBlocks(experts, ReadRoutedLayers(reader, config.layers()), &config);
  config.gguf = {.name = "qwen3moe", .attention_scales = true, .ffn_scales = true};
  return config;
}

}  // namespace

std::unique_ptr<Family> MakeQwen3MoeFamily(const Json& config) {
  return MakeHfFamily("qwen3_moe", ParseQwen3MoeConfig(config));
}

}  // namespace vernier::checkpoint

#include "checkpoint/families/qwen_hybrid.h"

#include <string>
#include <string_view>

namespace vernier::checkpoint {
namespace {

constexpr int64_t kHybridHeadDim = 256;
constexpr double kHybridRotaryFactor = 0.25;
constexpr int64_t kFullAttentionInterval = 4;

constexpr std::string_view kFullAttention = "full_attention";
constexpr std::string_view kLinearAttention = "linear_attention";

DeltaNetConfig ReadDeltaNet(const ConfigReader& reader) {
  constexpr int64_t kMost = int64_t{1} << 20;  // so that sums of products fit int64
  const auto read = [&](const char* key, int64_t fallback) {
    return reader.IntegerOr(key, fallback, 1, kMost);
  };
  DeltaNetConfig net;
  net.key_heads = read("linear_num_key_heads", 16);
  net.value_heads = read("linear_num_value_heads", 32);
  net.key_head_dim = read("linear_key_head_dim", 128);
  net.value_head_dim = read("linear_value_head_dim", 128);
  net.kernel = read("linear_conv_kernel_dim", 4);
  if (net.value_heads % net.key_heads != 0) {
    reader.Fail("linear_num_value_heads", "is " + std::to_string(net.value_heads) +
                                              ", no multiple of " + std::to_string(net.key_heads) +
                                              " key heads");
  }
  return net;
}

// Which layers have a delta net, by layer_types or every one but each n-th.
std::vector<bool> ReadLinearLayers(const ConfigReader& reader, int64_t layers) {
  std::vector<bool> linear;
  if (reader.Find("layer_types") == nullptr) {
    const int64_t interval = reader.IntegerOr("full_attention_interval", kFullAttentionInterval);
    for (int64_t layer = 1; layer <= layers; ++layer) linear.push_back(layer % interval != 0);
    return linear;
  }
  for (const size_t type :
       ReadEachLayer(reader, "layer_types", layers, {kFullAttention, kLinearAttention})) {
    linear.push_back(type == 1);
  }
  return linear;
}

}  // namespace

DecoderConfig ReadQwenHybrid(const ConfigReader& reader, const char* ffn_width) {
  reader.RequireValue("attn_output_gate", true);
  reader.RequireValue("hidden_act", "silu");
  DecoderConfig config = ReadDecoderSizes(reader, ffn_width);
  ReadGroupedQueryHeads(reader, kHybridHeadDim, &config);
  const AttentionBlock& first = config.blocks.front().attention;
  if (first.heads * first.grouped_query.head_dim > ConfigReader::kMaxSize) {
    reader.Fail("head_dim", "makes queries of more than 2^31 channels");
  }
  ReadPartialRope(reader, {.partial_factor = kHybridRotaryFactor}, &config);
  config.unit_offset_norms = true;
  const DeltaNetConfig delta_net = ReadDeltaNet(reader);
  const std::vector<bool> linear = ReadLinearLayers(reader, config.layers());
  const bool bias = reader.BooleanOr("attention_bias", false);
  for (size_t layer = 0; layer < config.blocks.size(); ++layer) {
    AttentionBlock& attention = config.blocks[layer].attention;
    attention.grouped_query.qk_norm = attention.grouped_query.output_gate = true;
    attention.grouped_query.qkv_bias = attention.grouped_query.output_bias = bias;
    if (!linear[layer]) continue;
    attention.kind = AttentionKind::kDeltaNet;
    attention.delta_net = delta_net;
  }
  return config;
}

ExpertsConfig ReadQwenHybridExperts(const ConfigReader& reader, DecoderConfig* config) {
  ExpertsConfig experts = ReadExperts(reader,
                                      {.count = "num_experts",
                                       .per_token = "num_experts_per_tok",
                                       .width = "moe_intermediate_size"},
                                      *config);
  experts.shared_width = reader.Integer("shared_expert_intermediate_size");
  experts.shared_gate = true;
  config->names.shared_experts = "shared_expert";
  return experts;
}

}  // namespace vernier::checkpoint

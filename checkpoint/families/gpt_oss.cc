// gpt-oss: attention with sinks, every second layer with a window; routed experts with biases and a
// limited gate, stored together in MXFP4 or BF16.
#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {
namespace {

constexpr int64_t kGptOssHeadDim = 64, kGptOssWindow = 128;
constexpr double kGptOssTheta = 150000, kGptOssEps = 1e-5;

void ReadGptOssAttention(const ConfigReader& reader, DecoderConfig* config) {
  ReadGroupedQueryHeads(reader, kGptOssHeadDim, config);
  const bool has_rope =
      reader.Find("rope_scaling") != nullptr || reader.Find("rope_parameters") != nullptr;
  if (!has_rope) reader.Fail("rope_scaling", "is missing");
  config->rope = ParseRopeConfig(reader, {.theta = kGptOssTheta});
  ReadWindow(reader, kGptOssWindow, config);
  ReadWindowPattern(reader, /*pattern=*/2, config);
  const bool bias = reader.BooleanOr("attention_bias", true);
  for (DecoderBlock& block : config->blocks) {
    block.attention.grouped_query.sinks = true;
    block.attention.grouped_query.qkv_bias = bias;
    block.attention.grouped_query.output_bias = bias;
  }
}

void ReadGptOssExperts(const ConfigReader& reader, DecoderConfig* config) {
  const char* count =
      reader.Find("num_local_experts") != nullptr ? "num_local_experts" : "num_experts";
  ExpertsConfig experts = ReadExperts(
      reader, {.count = count, .per_token = "num_experts_per_tok", .width = "intermediate_size"},
      *config);
  experts.router = RouterKind::kTopSoftmax;
  experts.router_bias = experts.bias = true;
  RouteBlocks(experts, std::vector<bool>(config->blocks.size(), true), config);
  config->names.router = "router";
  config->interleaved_stacks = config->transposed_stacks = config->released_stacks = true;
  // vLLM 0.32, models/gpt_oss.py.
  config->experts_obstacle =
      "vLLM loads this model's experts stacked, in MXFP4 or BF16, and no single ones";
  config->gate = {.alpha = reader.NumberOr("swiglu_alpha", 1.702),
                  .limit = reader.NumberOr("swiglu_limit", 7),
                  .up_offset = 1};
}

DecoderConfig ParseGptOssConfig(const Json& json) {
  const ConfigReader reader(json);
  reader.RequireValue("hidden_act", "silu");
  DecoderConfig config = ReadDecoderSizes(reader);
  config.norm_eps = reader.NumberOr("rms_norm_eps", kGptOssEps);
  ReadGptOssAttention(reader, &config);
  ReadGptOssExperts(reader, &config);
  return config;
}

}  // namespace

std::unique_ptr<Family> MakeGptOssFamily(const Json& config) {
  return MakeHfFamily("gpt_oss", ParseGptOssConfig(config));
}

}  // namespace vernier::checkpoint

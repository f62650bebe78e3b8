// Mixtral: Mistral's attention, and routed experts in every layer.
#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {
namespace {

constexpr double kDefaultTheta = 1e6;

DecoderConfig ParseMixtralConfig(const Json& json) {
  const ConfigReader reader(json);
  DecoderConfig config = ReadDecoderSizes(reader);
  ReadGroupedQueryHeads(reader, /*default_head_dim=*/{}, &config);
  config.rope = ParseRopeConfig(reader, {.theta = kDefaultTheta});
  ReadWindow(reader, /*fallback=*/0, &config);
  config.names.ffn = "block_sparse_moe";
  config.names.gate = "w1";
  config.names.up = "w3";
  config.names.down = "w2";
  config.names.gate_up = "w1w3";
  const ExpertsConfig experts = ReadExperts(reader,
                                            {.count = "num_local_experts",
                                             .per_token = "num_experts_per_tok",
                                             .width = "intermediate_size"},
                                            config);
  RouteBlocks(experts, std::vector<bool>(config.blocks.size(), true), &config);
  config.gguf = kGgufLlama;
  return config;
}

}  // namespace

std::unique_ptr<Family> MakeMixtralFamily(const Json& config) {
  return MakeHfFamily("mixtral", ParseMixtralConfig(config));
}

}  // namespace vernier::checkpoint

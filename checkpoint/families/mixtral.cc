// Mixtral: Mistral's attention, and routed experts in every layer.
#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {
namespace {

constexpr double kDefaultTheta = 1e6;

}  // namespace

DecoderConfig ParseMixtralConfig(const Json& json) {
  const ConfigReader reader(json);
  DecoderConfig config = ReadDecoderSizes(reader);
  ReadGroupedQueryHeads(reader, /*default_head_dim=*/{}, &config);
  config.rope = ParseRopeConfig(reader, kDefaultTheta);
  ReadWindow(reader, /*fallback=*/0, &config);
  config.names = {.module = "block_sparse_moe", .gate = "w1", .up = "w3", .down = "w2"};
  config.experts = ReadExperts(reader,
                               {.count = "num_local_experts",
                                .per_token = "num_experts_per_tok",
                                .width = "intermediate_size"},
                               config);
  config.routed.assign(config.routed.size(), true);
  return config;
}

std::unique_ptr<Family> MakeMixtralFamily(const Json& config) {
  return MakeHfFamily("mixtral", ParseMixtralConfig(config));
}

}  // namespace vernier::checkpoint

// Qwen3-Next: delta nets whose projections are fused, attention in every n-th layer, and routed
// experts beside a gated shared one.
#include "checkpoint/families/hf_family.h"
#include "checkpoint/families/qwen_hybrid.h"

namespace vernier::checkpoint {
namespace {

DecoderConfig ParseQwen3NextConfig(const Json& json) {
  const ConfigReader reader(json);
  DecoderConfig config = ReadQwenHybrid(reader, "intermediate_size");
  for (DecoderBlock& block : config.blocks) block.attention.delta_net.by_key_head = true;
  config.unannounced_mtp_layers = 1;  // the releases'; vLLM's qwen3_next_mtp.py counts them so
  ExpertsConfig experts = ReadQwenHybridExperts(reader, &config);
  experts.normalize = reader.BooleanOr("norm_topk_prob", true);
  RouteBlocks(experts, ReadSparseLayers(reader, config.layers()), &config);
  return config;
}

}  // namespace

std::unique_ptr<Family> MakeQwen3NextFamily(const Json& config) {
  return MakeHfFamily("qwen3_next", ParseQwen3NextConfig(config));
}

}  // namespace vernier::checkpoint

// Qwen3.5, dense and with routed experts: Qwen3-Next's layers with a projection for each input of a
// delta net, beside a vision tower or alone.
#include "checkpoint/config_facts.h"
#include "checkpoint/families/hf_family.h"
#include "checkpoint/families/qwen_hybrid.h"

namespace vernier::checkpoint {
namespace {

constexpr NestedPlace kQwenPlace = {.model = "model.language_model", .head = "lm_head"};

DecoderConfig ParseQwen35Config(const Json& json) {
  DecoderConfig config = ReadQwenHybrid(TextReader(json), "intermediate_size");
  ReadNesting(json, kQwenPlace, &config);
  return config;
}

DecoderConfig ParseQwen35MoeConfig(const Json& json) {
  const ConfigReader reader = TextReader(json);
  DecoderConfig config = ReadQwenHybrid(reader, "moe_intermediate_size");
  reader.RequireValue("norm_topk_prob", true);
  const ExpertsConfig experts = ReadQwenHybridExperts(reader, &config);
  RouteBlocks(experts, std::vector<bool>(config.blocks.size(), true), &config);
  config.released_stacks = true;
  ReadNesting(json, kQwenPlace, &config);
  return config;
}

}  // namespace

std::unique_ptr<Family> MakeQwen35Family(const Json& config) {
  return MakeHfFamily(ModelTypeOf(config), ParseQwen35Config(config));
}

std::unique_ptr<Family> MakeQwen35MoeFamily(const Json& config) {
  return MakeHfFamily(ModelTypeOf(config), ParseQwen35MoeConfig(config));
}

}  // namespace vernier::checkpoint

#include "audit/engines/model_facts.h"

#include <string>

#include "checkpoint/config_facts.h"

namespace vernier::audit {
namespace {

struct EngineModelRow {
  std::string_view model_type;
  bool is_prefix;  // and all types that begin so
  EngineModelFacts facts;
};

// Sources: vLLM's llama4.py transposes stacks, TensorRT-LLM reads those of Llama 4 and gpt-oss;
// vLLM's and SGLang's models/kimi_k25.py build the vision tower and its projector.
constexpr std::array<EngineModelRow, 3> kEngineModels = {{
    {"llama4", true, {.loaders_of_stacks = EngineSet{Engine::kVllm, Engine::kTensorRtLlm}}},
    {"gpt_oss", false, {.loaders_of_stacks = EngineSet{Engine::kTensorRtLlm}}},
    {"kimi_k25", false, {.plain_prefixes = {"vision_tower.", "mm_projector."}}},
}};

}  // namespace

EngineModelFacts FactsOfModel(const Json& config) {
  const std::string model_type = checkpoint::ModelTypeOf(config);
  for (const EngineModelRow& row : kEngineModels) {
    const bool is_it =
        row.is_prefix ? model_type.starts_with(row.model_type) : model_type == row.model_type;
    if (is_it) return row.facts;
  }
  return {};
}

}  // namespace vernier::audit

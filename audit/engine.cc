#include "audit/engine.h"

namespace vernier::audit {

std::string_view EngineName(Engine engine) {
  switch (engine) {
    case Engine::kVllm:
      return "vLLM";
    case Engine::kSglang:
      return "SGLang";
    case Engine::kTensorRtLlm:
      break;
  }
  return "TensorRT-LLM";
}

std::string_view EngineOption(Engine engine) {
  switch (engine) {
    case Engine::kVllm:
      return "vllm";
    case Engine::kSglang:
      return "sglang";
    case Engine::kTensorRtLlm:
      break;
  }
  return "trtllm";
}

std::string EngineSet::Names() const {
  std::string names;
  for (const Engine engine : kEngines) {
    if (!Has(engine)) continue;
    if (!names.empty()) names += ", ";
    names += EngineName(engine);
  }
  return names;
}

std::optional<EngineSet> EnginesFromOption(std::string_view option) {
  if (option == "all") return EngineSet::All();
  for (const Engine engine : kEngines) {
    if (option == EngineOption(engine)) return EngineSet{engine};
  }
  return std::nullopt;
}

}  // namespace vernier::audit

#include "audit/exclusion.h"

#include <algorithm>

#include "base/text.h"

namespace vernier::audit {
namespace {

bool VllmPatternMatches(std::string_view pattern, std::string_view module) {
  return module.find(pattern) != std::string_view::npos || GlobMatch(pattern, module);
}

bool VllmExcludes(std::string_view pattern, std::string_view module) {
  const bool expands = pattern.size() > 1 && pattern.ends_with('*') && !pattern.ends_with(".*");
  if (!expands) return VllmPatternMatches(pattern, module);
  const std::string stem(pattern.substr(0, pattern.size() - 1));
  return VllmPatternMatches(stem, module) || VllmPatternMatches(stem + ".*", module);
}

bool SglangExcludes(std::string_view pattern, std::string_view module) {
  if (GlobMatch(pattern, module)) return true;
  for (size_t begin = 0; begin <= module.size();) {
    const size_t end = std::min(module.find('.', begin), module.size());
    if (GlobMatch(pattern, module.substr(begin, end - begin))) return true;
    begin = end + 1;
  }
  return false;
}

}  // namespace

bool ExcludedByVllm(std::span<const std::string> patterns, std::string_view module) {
  return std::any_of(patterns.begin(), patterns.end(), [module](const std::string& pattern) {
    return VllmExcludes(pattern, module);
  });
}

bool ExcludedBySglang(std::span<const std::string> patterns, std::string_view module) {
  return std::any_of(patterns.begin(), patterns.end(), [module](const std::string& pattern) {
    return SglangExcludes(pattern, module);
  });
}

bool ExcludedByTensorRtLlm(std::span<const std::string> patterns, std::string_view module) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [module](const std::string& pattern) { return GlobMatch(pattern, module); });
}

std::vector<std::string> EngineNames() { return {"vLLM", "SGLang", "TensorRT-LLM"}; }

std::vector<std::string> EnginesExcluding(std::span<const std::string> patterns,
                                          std::string_view module) {
  std::vector<std::string> engines;
  if (ExcludedByVllm(patterns, module)) engines.emplace_back("vLLM");
  if (ExcludedBySglang(patterns, module)) engines.emplace_back("SGLang");
  if (ExcludedByTensorRtLlm(patterns, module)) engines.emplace_back("TensorRT-LLM");
  return engines;
}

}  // namespace vernier::audit

#include "audit/engines/exclusion.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include "base/text.h"

namespace vernier::audit {
namespace {

Exclusion By(std::string_view pattern) { return {true, std::string(pattern), {}}; }

bool VllmPatternMatches(std::string_view pattern, std::string_view module) {
  return module.find(pattern) != std::string_view::npos || GlobMatch(pattern, module);
}

bool VllmExcludes(std::string_view pattern, std::string_view module) {
  const bool expands = pattern.size() > 1 && pattern.ends_with('*') && !pattern.ends_with(".*");
  if (!expands) return VllmPatternMatches(pattern, module);
  const std::string stem(pattern.substr(0, pattern.size() - 1));
  return VllmPatternMatches(stem, module) || VllmPatternMatches(stem + ".*", module);
}

// Without the prefix that multimodal models put around their text model, if there is one.
std::string_view TextName(std::string_view module) {
  constexpr std::string_view kPrefix = "language_model.";
  return module.starts_with(kPrefix) ? module.substr(kPrefix.size()) : module;
}

bool IsListed(std::span<const NamePattern> patterns, std::string_view name) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const NamePattern& pattern) { return pattern.text() == name; });
}

// All members of a fused matrix must be left out, or none.
template <typename IsSkipped>
Exclusion AllOrNone(const RuntimeModule& module, const IsSkipped& is_skipped) {
  const auto skipped = std::count_if(module.members.begin(), module.members.end(), is_skipped);
  if (skipped == 0) return {};
  if (skipped == static_cast<ptrdiff_t>(module.members.size())) {
    return By(module.members.front()->name);
  }
  return {false, {}, "only some of its members are in the exclusion list"};
}

// The part of vLLM's decision that knows of fused matrices and experts.
Exclusion VllmExact(std::span<const NamePattern> patterns, const RuntimeModule& module) {
  if (IsListed(patterns, module.name)) return By(module.name);
  if (module.is_fused()) {
    return AllOrNone(module,
                     [&](const Module* member) { return IsListed(patterns, member->name); });
  }
  constexpr std::string_view kExperts = "experts";
  if (module.name.find(kExperts) == std::string::npos) return {};
  for (const NamePattern& pattern : patterns) {
    if (pattern.text().find(module.name) != std::string::npos) return By(pattern.text());
  }
  return {};
}

Exclusion FindVllm(std::span<const NamePattern> patterns, const RuntimeModule& module) {
  const Exclusion exact = VllmExact(patterns, module);
  if (exact.excluded || !exact.error.empty()) return exact;
  for (const NamePattern& pattern : patterns) {
    if (VllmExcludes(pattern.text(), module.name)) return By(pattern.text());
  }
  return {};
}

// Whether `path` stands in `module` between dots.
bool SglangPathMatches(std::string_view path, std::string_view module) {
  while (path.ends_with('.')) path.remove_suffix(1);
  const std::string inner = "." + std::string(module) + ".";
  return inner.find("." + std::string(path) + ".") != std::string::npos;
}

bool SglangSkips(std::span<const NamePattern> patterns, std::string_view module) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const NamePattern& pattern) {
    return SglangPathMatches(pattern.text(), module);
  });
}

// What linear layers are tested for before any pattern.
Exclusion SglangExact(std::span<const NamePattern> patterns, const RuntimeModule& module) {
  constexpr std::array<std::string_view, 4> kSplit = {"qkv_proj", "gate_up_proj", "in_proj_qkvz",
                                                      "in_proj_ba"};
  const bool splits = std::any_of(kSplit.begin(), kSplit.end(), [&](std::string_view fused) {
    return module.name.ends_with(fused);
  });
  if (module.is_fused() && splits) {
    return AllOrNone(module,
                     [&](const Module* member) { return SglangSkips(patterns, member->name); });
  }
  return SglangSkips(patterns, module.name) ? By(module.name) : Exclusion();
}

bool SglangGlobMatches(std::string_view pattern, std::string_view module) {
  if (GlobMatch(pattern, module)) return true;
  for (size_t begin = 0; begin <= module.size();) {
    const size_t end = std::min(module.find('.', begin), module.size());
    if (GlobMatch(pattern, module.substr(begin, end - begin))) return true;
    begin = end + 1;
  }
  return false;
}

bool SglangExcludes(std::string_view pattern, std::string_view module) {
  constexpr std::array<std::string_view, 4> kMlaParts = {"q_a_proj", "q_b_proj",
                                                         "kv_a_proj_with_mqa", "kv_b_proj"};
  if (SglangGlobMatches(pattern, module) || SglangGlobMatches(pattern, TextName(module))) {
    return true;
  }
  const std::string_view last = LeafOf(pattern);
  return std::find(kMlaParts.begin(), kMlaParts.end(), last) != kMlaParts.end() &&
         LeafOf(module).find(last) != std::string_view::npos;
}

// SGLang's name of the fused low-rank projections of MLA.
std::string SglangName(const RuntimeModule& module) {
  constexpr std::string_view kVllm = "fused_qkv_a_proj";
  return module.name.ends_with(kVllm) ? module.name + "_with_mqa" : module.name;
}

Exclusion FindSglang(std::span<const NamePattern> patterns, const RuntimeModule& module) {
  if (module.kind != ModuleKind::kExperts) {
    const Exclusion exact = SglangExact(patterns, module);
    if (exact.excluded || !exact.error.empty()) return exact;
  }
  const std::string name = SglangName(module);
  for (const NamePattern& pattern : patterns) {
    if (SglangExcludes(pattern.text(), name)) return By(pattern.text());
  }
  return {};
}

bool TensorRtLlmExcludes(const NamePattern& pattern, std::string_view module) {
  const std::string_view glob = pattern.text();
  const bool is_subtree = !pattern.is_regex() && glob.ends_with(".*");
  for (std::string_view name = module;;) {
    if (pattern.is_regex() ? pattern.MatchesWhole(name) : GlobMatch(glob, name)) return true;
    if (is_subtree && GlobMatch(glob.substr(0, glob.size() - 2), name)) return true;
    const size_t dot = name.rfind('.');
    if (dot == std::string_view::npos) return false;
    name = name.substr(0, dot);
  }
}

Exclusion FindTensorRtLlm(std::span<const NamePattern> patterns, const RuntimeModule& module) {
  for (const NamePattern& pattern : patterns) {
    if (TensorRtLlmExcludes(pattern, module.name)) return By(pattern.text());
    if (!module.is_fused()) continue;
    for (const Module* member : module.members) {
      if (TensorRtLlmExcludes(pattern, member->name)) return By(pattern.text());
    }
  }
  return {};
}

}  // namespace

Exclusion FindExclusion(Engine engine, std::span<const NamePattern> patterns,
                        const RuntimeModule& module) {
  switch (engine) {
    case Engine::kVllm:
      return FindVllm(patterns, module);
    case Engine::kSglang:
      return FindSglang(patterns, module);
    case Engine::kTensorRtLlm:
      break;
  }
  return FindTensorRtLlm(patterns, module);
}

}  // namespace vernier::audit

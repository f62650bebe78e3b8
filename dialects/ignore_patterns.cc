#include "dialects/ignore_patterns.h"

#include <set>
#include <string_view>
#include <utility>

#include "dialects/module_formats.h"

namespace vernier::dialects {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::Role;

constexpr std::string_view kAnyLayer = "*";

// Everything that an engine builds as a module with a quantisation method, whatever its name. All
// of MTP, indexers and compressors are in it, so that one pattern can stand for each.
bool BelongsInList(const LogicalWeight& weight, Routers routers) {
  switch (weight.role) {
    case Role::kLmHead:
    case Role::kMtp:
    case Role::kIndexer:
    case Role::kCompressor:
      return true;
    case Role::kRouter:
      return routers == Routers::kListed && weight.linear;
    default:
      return weight.linear || weight.stacks_experts();
  }
}

// What patterns are matched with: a stack of experts is one module with its other projection.
std::string ListedModule(const LogicalWeight& weight) {
  return weight.stacks_experts() || weight.in_stack ? EngineModule(weight) : weight.module;
}

// "layers.7.attn.wq_a" -> "*.attn.wq_a"
std::string WithoutLayer(const LogicalWeight& weight, const std::string& module) {
  if (weight.layer < 0 || weight.role == Role::kMtp) return module;
  const std::string number = "." + std::to_string(weight.layer) + ".";
  const size_t at = module.find(number);
  if (at == std::string::npos) return module;
  return std::string(kAnyLayer) + module.substr(at + number.size() - 1);
}

// Whether one of the sorted `names` is `prefix` or lies below it.
bool AnyBelow(const std::set<std::string>& names, const std::string& prefix) {
  if (names.contains(prefix)) return true;
  const auto it = names.lower_bound(prefix + ".");
  return it != names.end() && it->starts_with(prefix + ".");
}

// The shortest "prefix.*" of `name` without any of `quantized` below it, or the name itself.
std::string ShortestPattern(const std::string& name, const std::set<std::string>& quantized) {
  for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
    const std::string prefix = name.substr(0, dot);
    if (prefix != kAnyLayer && !AnyBelow(quantized, prefix)) return prefix + ".*";
  }
  return name;
}

}  // namespace

std::vector<std::string> IgnorePatterns(const checkpoint::ModelLayout& layout,
                                        const std::vector<bool>& quantised, Routers routers) {
  std::set<std::string> quantised_names, quantised_anywhere;
  for (size_t i = 0; i < layout.weights.size(); ++i) {
    if (!quantised[i]) continue;
    quantised_names.insert(layout.weights[i].module);
    quantised_anywhere.insert(WithoutLayer(layout.weights[i], layout.weights[i].module));
  }

  std::set<std::string> patterns;
  for (size_t i = 0; i < layout.weights.size(); ++i) {
    const LogicalWeight& weight = layout.weights[i];
    if (quantised[i] || !BelongsInList(weight, routers)) continue;
    const std::string module = ListedModule(weight);
    const std::string general = WithoutLayer(weight, module);
    const bool layers_agree = general != module && !quantised_anywhere.contains(general);
    std::string pattern = layers_agree ? ShortestPattern(general, quantised_anywhere)
                                       : ShortestPattern(module, quantised_names);
    // Engines look for the members of a fused matrix by their full names; a stack is no such.
    if (!weight.in_stack && !weight.fused_group.empty() && !pattern.ends_with(".*"))
      pattern = module;
    patterns.insert(std::move(pattern));
  }
  return {patterns.begin(), patterns.end()};
}

}  // namespace vernier::dialects

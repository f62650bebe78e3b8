#include "export/ignore_patterns.h"

#include <set>
#include <string_view>
#include <utility>

namespace vernier::exporter {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::Role;

constexpr std::string_view kAnyLayer = "*";

// Compressors and indexers hold small projections that are never quantised, and so not "linear"
// here; to an engine they are linear modules all the same.
bool BelongsInList(const LogicalWeight& weight, Routers routers) {
  switch (weight.role) {
    case Role::kLmHead:
    case Role::kMtp:
    case Role::kIndexer:
    case Role::kCompressor:
      return true;
    case Role::kRouter:
      return routers == Routers::kListed && weight.shape.size() == 2 &&
             weight.name.ends_with(".weight");
    default:
      return weight.linear;
  }
}

// "layers.7.attn.wq_a" -> "*.attn.wq_a"
std::string WithoutLayer(const LogicalWeight& weight) {
  if (weight.layer < 0 || weight.role == Role::kMtp) return weight.module;
  const std::string number = "." + std::to_string(weight.layer) + ".";
  const size_t at = weight.module.find(number);
  if (at == std::string::npos) return weight.module;
  return std::string(kAnyLayer) + weight.module.substr(at + number.size() - 1);
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
    quantised_anywhere.insert(WithoutLayer(layout.weights[i]));
  }

  std::set<std::string> patterns;
  for (size_t i = 0; i < layout.weights.size(); ++i) {
    const LogicalWeight& weight = layout.weights[i];
    if (quantised[i] || !BelongsInList(weight, routers)) continue;
    const std::string general = WithoutLayer(weight);
    const bool layers_agree = general != weight.module && !quantised_anywhere.contains(general);
    std::string pattern = layers_agree ? ShortestPattern(general, quantised_anywhere)
                                       : ShortestPattern(weight.module, quantised_names);
    // Engines look for the members of a fused matrix by their full names.
    if (!weight.fused_group.empty() && !pattern.ends_with(".*")) pattern = weight.module;
    patterns.insert(std::move(pattern));
  }
  return {patterns.begin(), patterns.end()};
}

}  // namespace vernier::exporter

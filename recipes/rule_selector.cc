#include "recipes/rule_selector.h"

#include <algorithm>

#include "base/text.h"

namespace vernier::recipes {
namespace {

// Decoder layers, without those that predict further tokens.
int LayerCount(const checkpoint::ModelLayout& layout) {
  int count = 0;
  for (const checkpoint::LogicalWeight& weight : layout.weights) {
    if (weight.role != checkpoint::Role::kMtp) count = std::max(count, weight.layer + 1);
  }
  return count;
}

}  // namespace

RuleSelector::RuleSelector(const checkpoint::ModelLayout& layout, const Rule& rule)
    : rule_(rule), layers_(rule.layers.empty() ? 0 : LayerCount(layout)) {}

bool RuleSelector::operator()(const checkpoint::LogicalWeight& weight) const {
  if (!rule_.layers.empty() && !rule_.layers.Contains(weight.layer, layers_)) return false;
  if (!rule_.roles.empty() && std::ranges::find(rule_.roles, weight.role) == rule_.roles.end()) {
    return false;
  }
  return rule_.name_glob.empty() || GlobMatch(rule_.name_glob, weight.module);
}

}  // namespace vernier::recipes

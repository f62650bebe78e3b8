#include "recipes/plan_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"
#include "recipes/nvfp4_layout.h"

namespace vernier::recipes {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::ModelLayout;
using checkpoint::Role;
using checkpoint::WeightFormat;

bool Matches(const Rule& rule, const LogicalWeight& weight) {
  if (rule.role && *rule.role != weight.role) return false;
  return rule.name_glob.empty() || GlobMatch(rule.name_glob, weight.module);
}

std::string RuleSubject(const std::vector<Rule>& rules, int index) {
  if (index < 0) return "the recipe's rules";
  return fmt::format("/quantize/{} ({})", index, rules[static_cast<size_t>(index)].Describe());
}

[[noreturn]] void ThrowUnusedRule(const std::vector<Rule>& rules, int index) {
  throw Error(ErrorCode::kUnusedRule, RuleSubject(rules, index), "no weight of the source matches",
              "Correct the role or the name, or remove the rule; `vernier inspect` lists both");
}

// Why `weight` cannot become NVFP4; nothing if it can.
std::optional<std::string> QuantisationObstacle(const LogicalWeight& weight) {
  if (weight.role == Role::kMtp) {
    return "belongs to a multi-token-prediction layer, which calibration does not run";
  }
  if (weight.format == WeightFormat::kNvfp4) return "is NVFP4 already";
  if (weight.format == WeightFormat::kInteger || weight.format == WeightFormat::kOpaque) {
    return fmt::format("has format {}", checkpoint::WeightFormatName(weight.format));
  }
  if (!weight.linear || weight.shape.size() != 2) return "is not the weight of a linear layer";
  if (weight.layer < 0) return "is outside the decoder layers that calibration observes";
  if (weight.columns() % kNvfp4Block != 0) {
    return fmt::format("has {} columns, not a multiple of {}", weight.columns(), kNvfp4Block);
  }
  return std::nullopt;
}

void CheckQuantisable(const LogicalWeight& weight, const WeightPlan& plan,
                      const std::vector<Rule>& rules) {
  if (plan.format == TargetFormat::kKeep) return;
  const std::optional<std::string> obstacle = QuantisationObstacle(weight);
  if (!obstacle) return;
  throw Error(ErrorCode::kBadRule, RuleSubject(rules, plan.rule),
              fmt::format("{} {}", weight.name, *obstacle),
              "Narrow the rule, or add a later rule that keeps this weight");
}

// A set of weights that are quantised alike or not at all.
struct TogetherSet {
  std::string name;  // for messages
  std::vector<size_t> weights;
};

// Two members differ in the property that the caller compares.
[[noreturn]] void ThrowSplit(const ModelLayout& layout, const std::vector<Rule>& rules,
                             const std::vector<WeightPlan>& plans, const TogetherSet& set,
                             size_t differing, std::string_view how) {
  const size_t first = set.weights.front();
  const auto decided = [&](size_t weight) {
    return plans[weight].rule < 0 ? "no rule" : RuleSubject(rules, plans[weight].rule);
  };
  throw Error(ErrorCode::kBadRule, set.name,
              fmt::format("{}: {} is decided by {}, {} by {}", how, layout.weights[first].module,
                          decided(first), layout.weights[differing].module, decided(differing)),
              "Let one rule decide all of them");
}

void CheckAllOrNone(const ModelLayout& layout, const std::vector<Rule>& rules,
                    const std::vector<WeightPlan>& plans, const TogetherSet& set) {
  for (const size_t weight : set.weights) {
    if (plans[weight].format == plans[set.weights.front()].format) continue;
    ThrowSplit(layout, rules, plans, set, weight, "is quantised only in part");
  }
}

void CheckSameMethod(const ModelLayout& layout, const std::vector<Rule>& rules,
                     const std::vector<WeightPlan>& plans, const TogetherSet& set) {
  for (const size_t weight : set.weights) {
    if (plans[weight].scale == plans[set.weights.front()].scale) continue;
    ThrowSplit(layout, rules, plans, set, weight, "is quantised with different scale methods");
  }
}

// Fused groups and lone weights, in order of their first members.
std::vector<TogetherSet> FusedSets(const ModelLayout& layout) {
  std::vector<TogetherSet> sets;
  std::unordered_map<std::string, size_t> by_group;
  for (size_t i = 0; i < layout.weights.size(); ++i) {
    const LogicalWeight& weight = layout.weights[i];
    if (weight.fused_group.empty()) {
      sets.push_back({weight.module, {i}});
      continue;
    }
    const auto [entry, inserted] = by_group.try_emplace(weight.fused_group, sets.size());
    if (inserted) sets.push_back({weight.fused_group, {}});
    sets[entry->second].weights.push_back(i);
  }
  return sets;
}

// Engines choose one kernel for all routed experts of a layer.
std::vector<TogetherSet> ExpertLayers(const ModelLayout& layout) {
  std::map<int, TogetherSet> by_layer;
  for (size_t i = 0; i < layout.weights.size(); ++i) {
    const LogicalWeight& weight = layout.weights[i];
    if (weight.role != Role::kRoutedExpert) continue;
    TogetherSet& set = by_layer[weight.layer];
    set.name = fmt::format("routed experts of layer {}", weight.layer);
    set.weights.push_back(i);
  }
  std::vector<TogetherSet> sets;
  for (auto& [layer, set] : by_layer) sets.push_back(std::move(set));
  return sets;
}

ScaleMethod ResolveScale(const ModelLayout& layout, const std::vector<Rule>& rules,
                         const std::vector<WeightPlan>& plans, const TogetherSet& set) {
  const WeightPlan& plan = plans[set.weights.front()];
  const auto other = std::ranges::find_if(set.weights, [&](size_t weight) {
    return layout.weights[weight].format != WeightFormat::kMxfp4;
  });
  const bool all_mxfp4 = other == set.weights.end();
  if (plan.scale == ScaleMethod::kAuto) {
    return all_mxfp4 ? ScaleMethod::kLossless : ScaleMethod::kMax;
  }
  if (plan.scale == ScaleMethod::kLossless && !all_mxfp4) {
    const LogicalWeight& weight = layout.weights[*other];
    throw Error(ErrorCode::kBadRule, RuleSubject(rules, plan.rule),
                fmt::format("{} has format {}, and only MXFP4 can be cast without loss",
                            weight.name, checkpoint::WeightFormatName(weight.format)),
                "Use scale \"auto\" or \"max\"");
  }
  return plan.scale;
}

}  // namespace

std::vector<WeightPlan> DecideWeights(const ModelLayout& layout, const std::vector<Rule>& rules) {
  std::vector<WeightPlan> plans(layout.weights.size());
  for (size_t r = 0; r < rules.size(); ++r) {
    const int index = static_cast<int>(r);
    bool used = false;
    for (size_t i = 0; i < plans.size(); ++i) {
      if (!Matches(rules[r], layout.weights[i])) continue;
      plans[i] = {rules[r].format, rules[r].scale, index, 0};
      used = true;
    }
    if (!used) ThrowUnusedRule(rules, index);
  }
  for (size_t i = 0; i < plans.size(); ++i) CheckQuantisable(layout.weights[i], plans[i], rules);
  return plans;
}

std::vector<ScaleGroup> MakeScaleGroups(const ModelLayout& layout, const std::vector<Rule>& rules,
                                        std::vector<WeightPlan>& plans) {
  for (const TogetherSet& set : ExpertLayers(layout)) CheckAllOrNone(layout, rules, plans, set);
  std::vector<ScaleGroup> groups;
  for (TogetherSet& set : FusedSets(layout)) {
    CheckAllOrNone(layout, rules, plans, set);
    if (plans[set.weights.front()].format == TargetFormat::kKeep) continue;
    CheckSameMethod(layout, rules, plans, set);
    const ScaleMethod scale = ResolveScale(layout, rules, plans, set);
    for (const size_t weight : set.weights) {
      plans[weight].scale = scale;
      plans[weight].scale_group = groups.size();
    }
    groups.push_back({std::move(set.name), std::move(set.weights), scale});
  }
  return groups;
}

}  // namespace vernier::recipes

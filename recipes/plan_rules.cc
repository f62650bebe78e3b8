#include "recipes/plan_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"
#include "dialects/target_parts.h"
#include "recipes/recipe_values.h"
#include "recipes/rule_selector.h"
#include "recipes/target_format.h"

namespace vernier::recipes {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::ModelLayout;
using checkpoint::Role;
using checkpoint::SourceModel;

// A rule for a whole role means its linear weights, as far as the container can hold them: not
// biases, norms, sinks or gates.
bool MayMean(const SourceModel& source, const Recipe& recipe, const Rule& rule,
             const LogicalWeight& weight) {
  if (!rule.name_glob.empty() || !IsQuantised(rule.format)) return true;
  return weight.quantisable() &&
         !recipe.dialect->container().ObstacleTo(source, weight, rule.format).never;
}

std::string RuleSubject(const std::vector<Rule>& rules, int index) {
  if (index < 0) return "the recipe's rules";
  return fmt::format("/quantize/{} ({})", index, rules[static_cast<size_t>(index)].Describe());
}

// A rule that asks for routed experts which lie in stacks would pass them over without a word.
void RefuseStackedExperts(const ModelLayout& layout, const std::vector<Rule>& rules, int index) {
  const Rule& rule = rules[static_cast<size_t>(index)];
  if (!IsQuantised(rule.format)) return;
  const RuleSelector selects(layout, rule);
  for (const LogicalWeight& weight : layout.weights) {
    if (!weight.stacks_experts() || !selects(weight)) continue;
    throw Error(
        ErrorCode::kBadRule, RuleSubject(rules, index),
        fmt::format("{} holds all experts of a layer in one tensor, which is not converted",
                    weight.name),
        "Leave routed_expert out of the rule, or save the model with one tensor per expert");
  }
}

[[noreturn]] void ThrowUnusedRule(const ModelLayout& layout, const std::vector<Rule>& rules,
                                  int index) {
  const Rule& rule = rules[static_cast<size_t>(index)];
  const auto selected = std::ranges::find_if(layout.weights, RuleSelector(layout, rule));
  if (IsQuantised(rule.format) && selected != layout.weights.end()) {
    throw Error(ErrorCode::kBadRule, RuleSubject(rules, index),
                fmt::format("{} {}", selected->name,
                            selected->linear ? "is kept as released by toolkits and engines"
                                             : "is not the weight of a linear layer"),
                "Remove the rule");
  }
  const bool dequantises = rule.format == formats::kBf16;
  throw Error(
      ErrorCode::kUnusedRule, RuleSubject(rules, index),
      (dequantises ? "no quantised weight of the source matches"
                   : "no weight of the source matches") +
          (rule.layers.empty() ? std::string()
                               : fmt::format(" in the layers {}", rule.layers.Text())),
      "Correct role, name or layers, or remove the rule; `vernier inspect` lists all three");
}

std::string UpperCase(std::string_view text) {
  std::string upper(text);
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
  return upper;
}

// Why `weight` cannot get a quantised format; nothing if it can.
std::optional<std::string> QuantisationObstacle(const SourceModel& source, const Recipe& recipe,
                                                const LogicalWeight& weight,
                                                const WeightPlan& plan) {
  const Format format = plan.format;
  if (weight.role == Role::kMtp) {
    return "belongs to a multi-token-prediction layer, which engines expect as released";
  }
  if (FormatOf(weight) == format) {
    return fmt::format("is {} already", UpperCase(TargetFormatName(format)));
  }
  if (weight.format == formats::kInteger || weight.format == formats::kOpaque) {
    return fmt::format("has format {}", checkpoint::FormatName(weight.format));
  }
  if (!weight.linear) return "is not the weight of a linear layer";
  if (weight.keeps_precision) return "is too delicate for fewer bits: toolkits and engines keep it";
  if (weight.layer < 0 && plan.HasCalibratedInputs()) {
    return "is outside the decoder layers that calibration observes";
  }
  if (weight.columns() % BlockColumns(format) != 0) {
    return fmt::format("has {} columns, not a multiple of {}", weight.columns(),
                       BlockColumns(format));
  }
  std::string why = recipe.dialect->container().ObstacleTo(source, weight, format).why;
  if (!why.empty()) return why;
  return std::nullopt;
}

void CheckQuantisable(const SourceModel& source, const LogicalWeight& weight,
                      const WeightPlan& plan, const Recipe& recipe) {
  if (!IsQuantised(plan.format)) return;
  const std::optional<std::string> obstacle = QuantisationObstacle(source, recipe, weight, plan);
  if (!obstacle) return;
  throw Error(ErrorCode::kBadRule, RuleSubject(recipe.rules, plan.rule),
              fmt::format("{} {}", weight.name, *obstacle),
              "Narrow the rule, or add a later rule that keeps this weight");
}

void CheckRule(const Recipe& recipe, int index) {
  const Rule& rule = recipe.rules[static_cast<size_t>(index)];
  const std::string subject = RuleSubject(recipe.rules, index);
  dialects::CheckTarget(rule.format, *recipe.dialect, subject);
  if (rule.activations && !HasInputScale(rule.format)) {
    throw Error(ErrorCode::kBadRule, subject, "has activations, and its format has no input scales",
                "Remove them from the rule");
  }
  if (IsQuantised(rule.format))
    ParseScaleMethod(rule.format, rule.scale, {ErrorCode::kBadRule, subject});
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
  // What is not quantised now stands beside what will not be quantised any more.
  const auto format_of = [&](size_t weight) {
    const bool plain = layout.weights[weight].format == formats::kPlain;
    return plans[weight].format == kKeep && plain ? formats::kBf16 : plans[weight].format;
  };
  const size_t first = set.weights.front();
  for (const size_t weight : set.weights) {
    if (plans[weight].format == plans[first].format) continue;
    if (format_of(weight) == format_of(first)) continue;
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

// Engines feed the set one input, which they quantise or do not.
void CheckSameInputScales(const ModelLayout& layout, const std::vector<Rule>& rules,
                          const std::vector<WeightPlan>& plans, const TogetherSet& set) {
  const WeightPlan& first = plans[set.weights.front()];
  if (!HasInputScale(first.format)) return;
  for (const size_t weight : set.weights) {
    if (plans[weight].input_scales == first.input_scales) continue;
    ThrowSplit(layout, rules, plans, set, weight, "has input scales of different kinds");
  }
}

// Fused groups and lone weights, in order of their first members. Weights for which `is_fused` is
// false stand alone.
template <typename Predicate>
std::vector<TogetherSet> FusedSets(const ModelLayout& layout, Predicate is_fused) {
  std::vector<TogetherSet> sets;
  std::unordered_map<std::string, size_t> by_group;
  for (size_t i = 0; i < layout.weights.size(); ++i) {
    const LogicalWeight& weight = layout.weights[i];
    if (weight.fused_group.empty() || !is_fused(i)) {
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
    const bool is_bias = weight.expert >= 0 && !weight.linear;
    if (weight.role != Role::kRoutedExpert || is_bias) continue;
    TogetherSet& set = by_layer[weight.layer];
    set.name = fmt::format("routed experts of layer {}", weight.layer);
    set.weights.push_back(i);
  }
  std::vector<TogetherSet> sets;
  for (auto& [layer, set] : by_layer) sets.push_back(std::move(set));
  return sets;
}

// What "auto" is for weights whose inputs are observed: calibration then knows how much their
// channels count.
ScaleMethod ObservedScale(Format format, Effort effort) {
  if (format != formats::kNvfp4) return ScaleMethod::kMax;
  switch (effort) {
    case Effort::kFast:
      return ScaleMethod::kMse;
    case Effort::kBalanced:
      return ScaleMethod::kLocalHessian;
    case Effort::kBest:
      return ScaleMethod::kGptq;
  }
  return ScaleMethod::kMse;
}

ScaleMethod AutomaticScale(const WeightPlan& plan, const Recipe& recipe, bool all_mxfp4) {
  if (all_mxfp4 && HasScaleMethod(plan.format, ScaleMethod::kLossless)) {
    return ScaleMethod::kLossless;
  }
  return plan.HasCalibratedInputs() ? ObservedScale(plan.format, recipe.effort) : ScaleMethod::kMax;
}

ScaleMethod ResolveScale(const ModelLayout& layout, const Recipe& recipe,
                         const std::vector<WeightPlan>& plans, const TogetherSet& set) {
  const WeightPlan& plan = plans[set.weights.front()];
  const auto other = std::ranges::find_if(
      set.weights, [&](size_t weight) { return layout.weights[weight].format != formats::kMxfp4; });
  const bool all_mxfp4 = other == set.weights.end();
  if (plan.scale == ScaleMethod::kAuto) return AutomaticScale(plan, recipe, all_mxfp4);
  if (plan.scale == ScaleMethod::kLossless && !all_mxfp4) {
    const LogicalWeight& weight = layout.weights[*other];
    throw Error(ErrorCode::kBadRule, RuleSubject(recipe.rules, plan.rule),
                fmt::format("{} has format {}, and only MXFP4 can be cast without loss",
                            weight.name, checkpoint::FormatName(weight.format)),
                "Use scale \"auto\" or \"max\"");
  }
  return plan.scale;
}

// What the rule makes of `weight`, before anything is checked.
WeightPlan Decide(const Recipe& recipe, int index, const LogicalWeight& weight) {
  const Rule& rule = recipe.rules[static_cast<size_t>(index)];
  const bool stays = rule.format == formats::kBf16 && !IsQuantised(weight);
  return {.format = stays ? kKeep : rule.format,
          .scale = rule.scale,
          .rule = index,
          .input_scales = recipe.InputScalesOf(rule)};
}

}  // namespace

std::vector<WeightPlan> DecideWeights(const SourceModel& source, const Recipe& recipe) {
  const ModelLayout& layout = source.layout;
  std::vector<WeightPlan> plans(layout.weights.size());
  for (size_t r = 0; r < recipe.rules.size(); ++r) {
    const Rule& rule = recipe.rules[r];
    const int index = static_cast<int>(r);
    CheckRule(recipe, index);
    RefuseStackedExperts(layout, recipe.rules, index);
    const RuleSelector selects(layout, rule);
    bool used = rule.optional;
    for (size_t i = 0; i < plans.size(); ++i) {
      const LogicalWeight& weight = layout.weights[i];
      if (!selects(weight) || !MayMean(source, recipe, rule, weight)) continue;
      plans[i] = Decide(recipe, index, weight);
      used |= plans[i].format == rule.format;
    }
    if (!used) ThrowUnusedRule(layout, recipe.rules, index);
  }
  for (size_t i = 0; i < plans.size(); ++i) {
    CheckQuantisable(source, layout.weights[i], plans[i], recipe);
  }
  return plans;
}

std::vector<ScaleGroup> MakeScaleGroups(const ModelLayout& layout, const Recipe& recipe,
                                        std::vector<WeightPlan>& plans) {
  const std::vector<Rule>& rules = recipe.rules;
  for (const TogetherSet& set : ExpertLayers(layout)) {
    CheckAllOrNone(layout, rules, plans, set);
    CheckSameInputScales(layout, rules, plans, set);
  }
  std::unordered_map<std::string, std::vector<size_t>> fused;  // by name
  for (TogetherSet& set : FusedSets(layout, [](size_t) { return true; })) {
    CheckAllOrNone(layout, rules, plans, set);
    CheckSameInputScales(layout, rules, plans, set);
    fused.emplace(std::move(set.name), std::move(set.weights));
  }
  // Engines take such a scale to be one for the fused matrix. Where parts of FP8 have their own,
  // vLLM, SGLang and TensorRT-LLM round all of them a second time, to the largest.
  const auto shares_scale = [&](size_t i) {
    return IsQuantised(plans[i].format) && plans[i].format->weight_scale != nullptr;
  };
  std::vector<ScaleGroup> groups;
  for (TogetherSet& set : FusedSets(layout, shares_scale)) {
    if (!IsQuantised(plans[set.weights.front()].format)) continue;
    CheckSameMethod(layout, rules, plans, set);
    const ScaleMethod scale = ResolveScale(layout, recipe, plans, set);
    for (const size_t weight : set.weights) {
      plans[weight].scale = scale;
      plans[weight].scale_group = groups.size();
    }
    const std::string& group = layout.weights[set.weights.front()].fused_group;
    const std::vector<size_t>& inputs = fused.at(group.empty() ? set.name : group);
    groups.push_back({std::move(set.name), std::move(set.weights), inputs, scale});
  }
  return groups;
}

}  // namespace vernier::recipes

#include "recipes/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "base/error.h"
#include "checkpoint/readable.h"
#include "dialects/target_parts.h"
#include "recipes/format_choice.h"
#include "recipes/plan_engines.h"
#include "recipes/plan_folds.h"
#include "recipes/plan_kv_cache.h"
#include "recipes/plan_rules.h"
#include "recipes/plan_shards.h"
#include "recipes/plan_stacks.h"
#include "recipes/source_convention.h"
#include "recipes/target_format.h"

namespace vernier::recipes {
namespace {

// Whether a rule that decides over a weight says less than effort does.
bool LeavesToEffort(const Recipe& recipe, const Plan& plan) {
  return std::ranges::any_of(plan.weights, [&](const WeightPlan& weight) {
    if (weight.rule < 0 || weight.format != formats::kNvfp4 || !weight.HasCalibratedInputs()) {
      return false;
    }
    const Rule& rule = recipe.rules[static_cast<size_t>(weight.rule)];
    return rule.scale == ScaleMethod::kAuto || rule.smooth == Smooth::kEffort;
  });
}

bool Propagates(const Recipe& recipe, const Plan& plan) {
  const bool solves = std::ranges::any_of(
      plan.weights, [](const WeightPlan& weight) { return weight.scale == ScaleMethod::kGptq; });
  if (recipe.propagate != Propagate::kEffort) return recipe.propagate == Propagate::kQuantised;
  return solves && recipe.effort == Effort::kBest;
}

// A field that changes nothing was meant to change something.
void CheckFieldsAreUsed(const Recipe& recipe, const Plan& plan) {
  const auto any = [&](auto uses) { return std::ranges::any_of(plan.weights, uses); };
  if (!recipe.importance.empty() &&
      !any([](const WeightPlan& weight) { return weight.scale == ScaleMethod::kMse; })) {
    throw Error(ErrorCode::kBadRule, "importance", "no weight is quantised with the scale \"mse\"",
                "Remove it, or choose that scale");
  }
  if (recipe.effort != Effort::kFast && !LeavesToEffort(recipe, plan)) {
    throw Error(ErrorCode::kBadRule, "effort",
                "no weight with the format nvfp4, the scale \"auto\" and calibrated inputs leaves "
                "anything to it",
                "Remove it, or a rule's scale");
  }
  if (recipe.propagate == Propagate::kQuantised &&
      !any([](const WeightPlan& weight) { return weight.scale == ScaleMethod::kGptq; })) {
    throw Error(ErrorCode::kBadRule, "propagate", "no weight is quantised with the scale \"gptq\"",
                "Remove it, or choose that scale");
  }
  if (recipe.activation_headroom != 1 && !any(&WeightPlan::HasCalibratedInputs)) {
    throw Error(ErrorCode::kBadRule, "activation_headroom", "no input scale is calibrated",
                "Remove it, or choose the format nvfp4 or fp8 with calibrated activations");
  }
  for (const ScaleMethod method : {ScaleMethod::kLocalHessian, ScaleMethod::kGptq}) {
    if (!any([&](const WeightPlan& weight) {
          return weight.scale == method && !weight.HasCalibratedInputs();
        })) {
      continue;
    }
    throw Error(ErrorCode::kBadRule, ScaleMethodName(method),
                "inputs are not calibrated, so nothing is known of their Hessians",
                "Use the scale \"mse\", or `vernier run` with a recipe whose activations are "
                "\"calibrated\"");
  }
  const auto leaves_to_recipe = [&](const WeightPlan& weight) {
    return weight.HasInputScale() && !recipe.rules[static_cast<size_t>(weight.rule)].activations;
  };
  if (recipe.activations == ActivationScales::kConstant && !any(leaves_to_recipe)) {
    throw Error(ErrorCode::kBadRule, "activations",
                "no weight gets a format with input scales that its rule leaves to the recipe",
                "Remove it, or choose the format nvfp4 or fp8");
  }
}

// Of a dialect whose per-tensor FP8 has static input scales only.
void CheckStaticScales(const Recipe& recipe, const Plan& plan) {
  if (!recipe.dialect->needs_input_scales) return;
  if (!std::ranges::any_of(plan.weights, [](const WeightPlan& weight) {
        return weight.format && weight.format->parts.span == checkpoint::ScaleSpan::kWeight &&
               !weight.HasInputScale();
      })) {
    return;
  }
  throw Error(ErrorCode::kBadRule, fmt::format("fp8 in the {} dialect", recipe.dialect->name),
              "engines need input scales for it, and there would be none",
              "Give one (\"activations\": 1.0, or --input-scale 1.0), or use fp8_channel, or the "
              "dialect compressed-tensors");
}

// A choice between NVFP4 and FP8 needs both.
void CheckBudget(const Recipe& recipe, const Plan& plan) {
  if (!recipe.budget.given() || !plan.container->holds_all()) return;
  throw Error(
      ErrorCode::kBadRule, "budget",
      fmt::format("the dialect {} does not hold FP8, which it would choose for some weights",
                  recipe.dialect->name),
      "Remove it, or choose another export.dialect");
}

std::vector<std::string> ObservedModules(const checkpoint::ModelLayout& layout,
                                         const Recipe& recipe, const Plan& plan) {
  std::vector<std::string> modules;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const WeightPlan& weight = plan.weights[i];
    const bool seen = weight.HasCalibratedInputs() || weight.observed_fold >= 0;
    if (seen) modules.push_back(layout.weights[i].module);
  }
  for (const checkpoint::KvCacheEntry& entry : plan.kv_entries) {
    if (IsCalibrated(recipe.kv_cache)) modules.push_back(entry.observed);
  }
  return modules;
}

// Nothing when the module is none with a weight.
const WeightPlan* FindWeight(const checkpoint::ModelLayout& layout, const Plan& plan,
                             std::string_view module) {
  const auto found = layout.by_module.find(std::string(module));
  return found == layout.by_module.end() ? nullptr : &plan.weights[found->second];
}

}  // namespace

std::string AttentionBlock(int64_t layer) { return fmt::format("layer {}, attention", layer); }
std::string FfnBlock(int64_t layer) { return fmt::format("layer {}, FFN", layer); }

bool WeightPlan::HasInputScale() const {
  return recipes::HasInputScale(format) && input_scales.from != ActivationScales::kNone;
}

bool WeightPlan::HasCalibratedInputs() const {
  return HasInputScale() && input_scales.from == ActivationScales::kCalibrated;
}

uint64_t Plan::OutputFileBytes() const {
  uint64_t bytes = 0;
  for (const OutputShard& shard : shards) bytes += shard.file_bytes;
  return bytes;
}

bool ObservesInputs(const Recipe& recipe) {
  if (IsCalibrated(recipe.kv_cache)) return true;
  return std::ranges::any_of(recipe.rules, [&](const Rule& rule) {
    return HasInputScale(rule.format) &&
           recipe.InputScalesOf(rule).from == ActivationScales::kCalibrated;
  });
}

Plan MakePlan(const checkpoint::SourceModel& source, const Recipe& recipe,
              const Promotions& promotions) {
  checkpoint::RequireComplete(*source.family, source.layout);
  Plan plan;
  plan.dialect = recipe.dialect;
  plan.container = &recipe.dialect->container();
  plan.fp8_blocks = dialects::Fp8BlocksOf(source, *recipe.dialect);
  plan.weights = DecideWeights(source, recipe);
  for (const auto& [weight, format] : promotions) {
    plan.weights[weight].format = format;
    plan.weights[weight].scale = ScaleMethod::kAuto;
    plan.weights[weight].promoted = true;
  }
  plan.scale_groups = MakeScaleGroups(source.layout, recipe, plan.weights);
  PlanKvCache(source, recipe, plan);
  PlanFolds(source, recipe, plan);
  CompleteStacks(source, plan);
  plan.propagates = Propagates(recipe, plan);
  CheckConventions(source, plan);
  CheckBudget(recipe, plan);
  if (promotions.empty()) CheckFieldsAreUsed(recipe, plan);
  CheckStaticScales(recipe, plan);
  CheckExperts(source, plan);
  plan.warnings = EngineWarnings(source, plan);
  LayOutShards(source, plan);
  for (const OutputShard& shard : plan.shards) {
    for (const OutputTensor& tensor : shard.tensors) plan.tensor_bytes += tensor.info.Bytes();
  }
  plan.observed_modules = ObservedModules(source.layout, recipe, plan);
  if (recipe.budget.given() && promotions.empty()) PlanTrials(source, recipe, plan);
  return plan;
}

bool CanScaleBy(ScaleMethod method, const checkpoint::ModelLayout& layout, const Plan& plan,
                std::string_view module) {
  const WeightPlan* weight = FindWeight(layout, plan, module);
  return weight != nullptr && weight->scale != ScaleMethod::kLossless &&
         HasScaleMethod(weight->format, method);
}

bool IsScaledBy(ScaleMethod method, const checkpoint::ModelLayout& layout, const Plan& plan,
                std::string_view module) {
  const WeightPlan* weight = FindWeight(layout, plan, module);
  return weight != nullptr && weight->scale == method;
}

std::map<size_t, size_t> SolvedWith(const checkpoint::ModelLayout& layout, const Plan& plan) {
  std::map<size_t, size_t> with;
  for (const std::string& module : plan.observed_modules) {
    if (!IsScaledBy(ScaleMethod::kGptq, layout, plan, module)) continue;
    const size_t index = layout.by_module.at(module);
    with[index] = index;
  }
  for (const ScaleGroup& group : plan.scale_groups) {
    const auto first =
        std::ranges::find_if(group.inputs, [&](size_t weight) { return with.contains(weight); });
    for (const size_t weight : group.inputs) {
      if (with.contains(weight)) with[weight] = *first;
    }
  }
  return with;
}

bool ChoosesFold(const checkpoint::ModelLayout& layout, const Plan& plan, std::string_view module) {
  const WeightPlan* weight = FindWeight(layout, plan, module);
  return weight != nullptr && weight->observed_fold >= 0;
}

bool ReadsFold(const checkpoint::ModelLayout& layout, const Plan& plan, std::string_view module) {
  const WeightPlan* weight = FindWeight(layout, plan, module);
  return weight != nullptr && weight->column_fold >= 0;
}

bool TriesFormats(const checkpoint::ModelLayout& layout, const Plan& plan,
                  std::string_view module) {
  const WeightPlan* weight = FindWeight(layout, plan, module);
  return weight != nullptr && weight->tried;
}

int ObservedLayer(const checkpoint::ModelLayout& layout, const Plan& plan,
                  std::string_view module) {
  const checkpoint::LogicalWeight* weight = layout.FindModule(module);
  if (weight != nullptr) return weight->layer;
  const auto entry =
      std::ranges::find(plan.kv_entries, module, &checkpoint::KvCacheEntry::observed);
  assert(entry != plan.kv_entries.end());
  return entry->layer;
}

}  // namespace vernier::recipes

#include "recipes/plan.h"

#include <algorithm>

#include "base/error.h"
#include "recipes/plan_rules.h"
#include "recipes/plan_shards.h"
#include "recipes/source_convention.h"
#include "recipes/target_format.h"
#include "recipes/target_layout.h"

namespace vernier::recipes {
namespace {

// A field that changes nothing was meant to change something.
void CheckFieldsAreUsed(const Recipe& recipe, const Plan& plan) {
  const auto any = [&](auto uses) { return std::ranges::any_of(plan.weights, uses); };
  if (!recipe.importance.empty() &&
      !any([](const WeightPlan& weight) { return weight.scale == ScaleMethod::kMse; })) {
    throw Error(ErrorCode::kBadRule, "importance", "no weight is quantised with the scale \"mse\"",
                "Remove it, or choose that scale");
  }
  if (recipe.activations == ActivationScales::kConstant &&
      !any([](const WeightPlan& weight) { return HasInputScale(weight.format); })) {
    throw Error(ErrorCode::kBadRule, "activations", "no weight gets a format with input scales",
                "Remove it, or choose the format nvfp4 or fp8");
  }
}

// ModelOpt's per-tensor FP8 has static input scales only: vLLM reads them uninitialised where they
// are missing (modelopt.py).
void CheckStaticScales(const Recipe& recipe, const Plan& plan) {
  if (recipe.dialect != Dialect::kModelopt || recipe.activations != ActivationScales::kNone) return;
  if (!std::ranges::any_of(plan.weights, [](const WeightPlan& weight) {
        return weight.format == TargetFormat::kFp8Tensor;
      })) {
    return;
  }
  throw Error(ErrorCode::kBadRule, "fp8 in the modelopt dialect",
              "engines need input scales for it, and there would be none",
              "Give one (\"activations\": 1.0, or --input-scale 1.0), or use fp8_channel, or the "
              "dialect compressed-tensors");
}

}  // namespace

uint64_t Plan::OutputFileBytes() const {
  uint64_t bytes = 0;
  for (const OutputShard& shard : shards) bytes += shard.file_bytes;
  return bytes;
}

bool ObservesInputs(const Recipe& recipe) {
  return recipe.activations == ActivationScales::kCalibrated &&
         std::ranges::any_of(recipe.rules,
                             [](const Rule& rule) { return HasInputScale(rule.format); });
}

Plan MakePlan(const checkpoint::SourceModel& source, const Recipe& recipe) {
  Plan plan;
  plan.dialect = recipe.dialect;
  plan.fp8_blocks = Fp8BlocksOf(source, recipe.dialect);
  plan.weights = DecideWeights(source.layout, recipe);
  plan.scale_groups = MakeScaleGroups(source.layout, recipe.rules, plan.weights);
  CheckConventions(source, recipe, plan);
  CheckFieldsAreUsed(recipe, plan);
  CheckStaticScales(recipe, plan);
  LayOutShards(source, recipe.activations != ActivationScales::kNone, plan);
  for (const OutputShard& shard : plan.shards) {
    for (const OutputTensor& tensor : shard.tensors) plan.tensor_bytes += tensor.info.Bytes();
  }
  if (!ObservesInputs(recipe)) return plan;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    if (!HasInputScale(plan.weights[i].format)) continue;
    plan.observed_modules.push_back(source.layout.weights[i].module);
  }
  return plan;
}

}  // namespace vernier::recipes

#include "recipes/plan_folds.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "checkpoint/families/kv_cache.h"
#include "recipes/target_format.h"

namespace vernier::recipes {
namespace {

using checkpoint::Fold;
using checkpoint::FoldKind;
using checkpoint::LogicalWeight;
using checkpoint::SourceModel;

class FoldPlanner {
 public:
  FoldPlanner(const SourceModel& source, const Recipe& recipe, Plan& plan)
      : source_(source), recipe_(recipe), plan_(plan) {}

  void Run() {
    const auto smooths = [&](const Rule& rule) { return Smooths(rule); };
    if (!std::ranges::any_of(recipe_.rules, smooths)) return;
    RequireCalibration();
    for (Fold& fold : source_.family->Folds(source_.layout)) {
      if (IsPossible(fold)) Add(std::move(fold));
    }
    RequireUse();
  }

 private:
  // By effort only where inputs are calibrated.
  bool Smooths(const Rule& rule) const {
    if (rule.smooth != Smooth::kEffort) return rule.smooth == Smooth::kAuto;
    return recipe_.effort != Effort::kFast && HasCalibratedInputs(rule);
  }

  bool HasCalibratedInputs(const Rule& rule) const {
    return recipe_.InputScalesOf(rule).from == ActivationScales::kCalibrated;
  }

  void RequireCalibration() const {
    if (std::ranges::all_of(recipe_.rules, [&](const Rule& rule) {
          return rule.smooth != Smooth::kAuto || HasCalibratedInputs(rule);
        })) {
      return;
    }
    throw Error(ErrorCode::kBadRule, "smooth",
                "inputs are not calibrated, so nothing is known of their channels",
                "Remove it, or use `vernier run` with a recipe whose activations are "
                "\"calibrated\"");
  }

  const Rule* RuleOf(size_t weight) const {
    const int rule = plan_.weights[weight].rule;
    return rule < 0 ? nullptr : &recipe_.rules[static_cast<size_t>(rule)];
  }

  // Whether it gets fewer bits, of values that may be chosen.
  bool IsEncodedAnew(size_t weight) const {
    const WeightPlan& planned = plan_.weights[weight];
    return IsQuantised(planned.format) && planned.scale != ScaleMethod::kLossless;
  }

  // Whether its stored values can be others: it is encoded anew, or BF16.
  bool IsRewritable(size_t weight) const {
    if (IsEncodedAnew(weight) || plan_.weights[weight].format == formats::kBf16) return true;
    const LogicalWeight& source = source_.layout.weights[weight];
    return plan_.weights[weight].format == kKeep && !plan_.weights[weight].dropped &&
           source.format == checkpoint::formats::kPlain &&
           source_.checkpoint.tensor(source.main).info.dtype == checkpoint::DType::kBF16;
  }

  // Whether its rule asks for it: every consumer of fewer bits must.
  bool IsSmoothed(size_t weight) const {
    const WeightPlan& planned = plan_.weights[weight];
    const bool becomes_nvfp4 = IsEncodedAnew(weight) && planned.format == formats::kNvfp4;
    // What keeps more bits is folded as it would have been: the calibration did so.
    return (becomes_nvfp4 || planned.promoted) && Smooths(*RuleOf(weight));
  }

  // A matrix that could get fewer bits and does not, or whose rule says no, is to stay as it is.
  bool Agrees(size_t weight) const {
    if (IsSmoothed(weight)) return true;
    const bool is_norm_or_such = !source_.layout.weights[weight].quantisable();
    return is_norm_or_such && !IsQuantised(plan_.weights[weight].format);
  }

  bool IsPossible(const Fold& fold) const {
    const auto rewritable = [&](size_t weight) { return IsRewritable(weight); };
    const auto agrees = [&](size_t weight) { return Agrees(weight); };
    for (const std::vector<size_t>& weights : {fold.producers, fold.consumers}) {
      if (!std::ranges::all_of(weights, rewritable)) return false;
      if (!std::ranges::all_of(weights, agrees)) return false;
    }
    if (!std::ranges::any_of(fold.consumers, [&](size_t w) { return IsSmoothed(w); })) return false;
    return fold.kind != FoldKind::kValue || !CachesScales(fold.layer);
  }

  // Scales of the values that attention caches, calibrated or 1, are of values as they are.
  bool CachesScales(int layer) const {
    if (plan_.kv_cache != KvCache::kNone) return true;
    return std::ranges::any_of(source_.layout.weights, [&](const LogicalWeight& weight) {
      return weight.layer == layer && checkpoint::IsKvCacheScale(weight.name);
    });
  }

  void Add(Fold fold) {
    const int index = static_cast<int>(plan_.folds.size());
    for (const size_t weight : fold.producers) {
      plan_.weights[weight].row_fold = index;
      Rewrite(weight);
    }
    for (const size_t weight : fold.consumers) {
      plan_.weights[weight].column_fold = index;
      Rewrite(weight);
      if (RuleOf(weight) != nullptr) used_.insert(plan_.weights[weight].rule);
    }
    PlannedFold planned{.fold = std::move(fold)};
    planned.observed = Observed(planned.fold);
    plan_.weights[planned.observed].observed_fold = index;
    plan_.folds.push_back(std::move(planned));
  }

  void Rewrite(size_t weight) {
    if (plan_.weights[weight].format == kKeep) {
      plan_.weights[weight].format = formats::kBf16;
    }
  }

  // The weight at whose input all of a layer's tokens come by: of routed experts the router.
  size_t Observed(const Fold& fold) const {
    const auto sees_all = std::ranges::find_if(fold.consumers, [&](size_t weight) {
      return source_.layout.weights[weight].role == checkpoint::Role::kRouter;
    });
    return sees_all == fold.consumers.end() ? fold.consumers.front() : *sees_all;
  }

  void RequireUse() const {
    for (size_t i = 0; i < recipe_.rules.size(); ++i) {
      if (recipe_.rules[i].smooth != Smooth::kAuto || used_.contains(static_cast<int>(i))) continue;
      throw Error(ErrorCode::kBadRule,
                  fmt::format("/quantize/{} ({})", i, recipe_.rules[i].Describe()),
                  "smooth: no norm or layer before its weights can take a factor",
                  "Set it to \"none\"; docs/guide.md says what it needs");
    }
  }

  const SourceModel& source_;
  const Recipe& recipe_;
  Plan& plan_;
  std::set<int> used_;  // rules
};

}  // namespace

void PlanFolds(const SourceModel& source, const Recipe& recipe, Plan& plan) {
  FoldPlanner(source, recipe, plan).Run();
}

}  // namespace vernier::recipes

#include "recipes/fold_scales.h"

namespace vernier::recipes {

checkpoint::Rescaling RescalingOf(const Plan& plan, const FoldScales& scales, size_t weight) {
  const WeightPlan& planned = plan.weights[weight];
  checkpoint::Rescaling rescaling;
  if (planned.row_fold >= 0) rescaling.row_divisors = scales[static_cast<size_t>(planned.row_fold)];
  if (planned.column_fold < 0) return rescaling;
  const auto fold = static_cast<size_t>(planned.column_fold);
  if (!scales[fold].empty()) {
    rescaling.column_factors = checkpoint::ColumnFactors(plan.folds[fold].fold, scales[fold]);
  }
  return rescaling;
}

}  // namespace vernier::recipes

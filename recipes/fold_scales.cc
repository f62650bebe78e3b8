#include "recipes/fold_scales.h"

namespace vernier::recipes {

checkpoint::Rescaling RescalingOf(const Plan& plan, const FoldScales& scales, size_t weight) {
  const WeightPlan& planned = plan.weights[weight];
  checkpoint::Rescaling rescaling;
  if (planned.row_fold >= 0) {
    const auto fold = static_cast<size_t>(planned.row_fold);
    const checkpoint::Fold& rows = plan.folds[fold].fold;
    rescaling.row_divisors = scales[fold];
    if (weight == rows.producers.front()) rescaling.added = rows.added;
  }
  if (planned.column_fold < 0) return rescaling;
  const auto fold = static_cast<size_t>(planned.column_fold);
  if (!scales[fold].empty()) {
    rescaling.column_factors = checkpoint::ColumnFactors(plan.folds[fold].fold, scales[fold]);
  }
  return rescaling;
}

}  // namespace vernier::recipes

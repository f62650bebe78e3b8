// The factors of a plan's folds, and what they make of its weights.
#ifndef VERNIER_RECIPES_FOLD_SCALES_H_
#define VERNIER_RECIPES_FOLD_SCALES_H_

#include <cstddef>
#include <vector>

#include "checkpoint/rescaling.h"
#include "recipes/plan.h"

namespace vernier::recipes {

// Of each of Plan::folds the factors s [channels], positive; empty: all 1.
using FoldScales = std::vector<std::vector<float>>;

// Of plan.weights[weight].
checkpoint::Rescaling RescalingOf(const Plan& plan, const FoldScales& scales, size_t weight);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_FOLD_SCALES_H_

// Which of a family's folds a plan makes.
#ifndef VERNIER_RECIPES_PLAN_FOLDS_H_
#define VERNIER_RECIPES_PLAN_FOLDS_H_

#include "checkpoint/source_model.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"

namespace vernier::recipes {

// Sets Plan::folds and what of weights belongs to them; weights that would have been carried and
// are rescaled become kBf16. A fold is made where all matrices that take part are NVFP4 by a rule
// that says smooth, and all else (norms, biases, routers and the like, which never get fewer bits)
// is BF16. kBadRule where a rule says smooth and no fold is made of its weights, or inputs are not
// calibrated.
void PlanFolds(const checkpoint::SourceModel& source, const Recipe& recipe, Plan& plan);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_PLAN_FOLDS_H_

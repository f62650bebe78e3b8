// Which of a family's folds a plan makes.
#ifndef VERNIER_RECIPES_PLAN_FOLDS_H_
#define VERNIER_RECIPES_PLAN_FOLDS_H_

#include "checkpoint/source_model.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"

namespace vernier::recipes {

// Sets Plan::folds and what of weights belongs to them; weights that would have been carried and
// are rescaled become kBf16. A fold is made where every consumer is NVFP4 by a rule that says smooth,
// or a router or the like that never gets fewer bits, and all that takes part is BF16 or encoded
// anew. kBadRule where a rule
// says smooth and no fold is made of its weights, or inputs are not calibrated.
void PlanFolds(const checkpoint::SourceModel& source, const Recipe& recipe, Plan& plan);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_PLAN_FOLDS_H_

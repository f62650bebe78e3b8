// Formats as a budget has them, once a calibration has measured what they cost.
#ifndef VERNIER_JOBS_BUDGET_H_
#define VERNIER_JOBS_BUDGET_H_

#include <optional>

#include "checkpoint/source_model.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "run/store.h"

namespace vernier::jobs {

// The plan of what is to be written; nothing without a budget. `plan` is the recipe's without
// promotions, `store` of a finished calibration of it. kStoreIdentity when that measured nothing.
std::optional<recipes::Plan> SpendBudget(const checkpoint::SourceModel& source,
                                         const recipes::Recipe& recipe, const recipes::Plan& plan,
                                         const run::Store& store);

// The same with the recipe's run directory, which nothing is written to; nothing also while there
// is no finished calibration in it.
std::optional<recipes::Plan> SpendBudgetIfMeasured(const checkpoint::SourceModel& source,
                                                   const recipes::Recipe& recipe,
                                                   const recipes::Plan& plan);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_BUDGET_H_

// What a budget was spent on, for summaries and manifests.
#ifndef VERNIER_RECIPES_BUDGET_JSON_H_
#define VERNIER_RECIPES_BUDGET_JSON_H_

#include "base/json.h"
#include "recipes/plan.h"

namespace vernier::recipes {

Json BudgetOutcomeJson(const BudgetOutcome& outcome);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_BUDGET_JSON_H_

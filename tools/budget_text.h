// What a budget was spent on, as text.
#ifndef VERNIER_TOOLS_BUDGET_TEXT_H_
#define VERNIER_TOOLS_BUDGET_TEXT_H_

#include "recipes/plan.h"

namespace vernier::tools {

// In a line.
void PrintBudget(const recipes::BudgetOutcome& outcome);
// What keeps more bits, a line each.
void PrintPromoted(const recipes::BudgetOutcome& outcome);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_BUDGET_TEXT_H_

#include "tools/budget_text.h"

#include <fmt/format.h>

#include "recipes/target_format.h"

namespace vernier::tools {

void PrintBudget(const recipes::BudgetOutcome& outcome) {
  constexpr double kPercent = 100;
  const double less = outcome.error_in_nvfp4 > 0 ? 1 - outcome.error / outcome.error_in_nvfp4 : 0;
  fmt::print(
      "budget       {:.3f} bits a weight ({:.3f} in nvfp4 alone): {} of {} layers keep more "
      "bits, sum of errors {:.0f} % smaller\n",
      outcome.bits, outcome.bits_in_nvfp4, outcome.promoted.size(), outcome.units, kPercent * less);
}

void PrintPromoted(const recipes::BudgetOutcome& outcome) {
  for (const auto& unit : outcome.promoted) {
    fmt::print("  {:<8} {:<60} error {:.2g} rather than {:.2g}\n",
               recipes::TargetFormatName(unit.format), unit.name, unit.error, unit.error_in_nvfp4);
  }
}

}  // namespace vernier::tools

#include "recipes/budget_json.h"

#include <utility>

#include "recipes/target_format.h"

namespace vernier::recipes {

Json BudgetOutcomeJson(const BudgetOutcome& outcome) {
  Json promoted = Json::array();
  for (const BudgetOutcome::Promoted& unit : outcome.promoted) {
    promoted.push_back({{"name", unit.name},
                        {"format", TargetFormatName(unit.format)},
                        {"error", unit.error},
                        {"error_in_nvfp4", unit.error_in_nvfp4}});
  }
  return {{"bits_per_weight", outcome.bits},
          {"bits_per_weight_in_nvfp4", outcome.bits_in_nvfp4},
          {"units", outcome.units},
          {"error", outcome.error},
          {"error_in_nvfp4", outcome.error_in_nvfp4},
          {"promoted", std::move(promoted)}};
}

}  // namespace vernier::recipes

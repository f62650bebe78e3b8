#include "jobs/budget.h"

#include <filesystem>
#include <utility>

#include "recipes/format_choice.h"
#include "run/measured_errors.h"
#include "run/run_identity.h"

namespace vernier::jobs {

std::optional<recipes::Plan> SpendBudget(const checkpoint::SourceModel& source,
                                         const recipes::Recipe& recipe, const recipes::Plan& plan,
                                         const run::Store& store) {
  if (!recipe.budget.given()) return std::nullopt;
  recipes::FormatChoice choice = recipes::ChooseFormats(
      source, recipe, plan, run::LoadMeasuredErrors(store), store.run_dir().string());
  recipes::Plan chosen = recipes::MakePlan(source, recipe, choice.promotions);
  chosen.budget = std::move(choice.outcome);
  return chosen;
}

std::optional<recipes::Plan> SpendBudgetIfMeasured(const checkpoint::SourceModel& source,
                                                   const recipes::Recipe& recipe,
                                                   const recipes::Plan& plan) {
  if (!recipe.budget.given()) return std::nullopt;
  if (!std::filesystem::exists(recipe.run_dir / run::kStoreFileName)) return std::nullopt;
  const run::Store store = run::Store::OpenForReading(recipe.run_dir);
  if (!store.CalibrationFinished()) return std::nullopt;
  store.CheckIdentity(run::AsFinished(run::PlanIdentity(source, recipe, plan), store));
  return SpendBudget(source, recipe, plan, store);
}

}  // namespace vernier::jobs

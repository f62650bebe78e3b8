// An export without a calibration, as `vernier convert` makes one.
#ifndef VERNIER_TESTS_EXPORT_EXPORT_RECIPE_H_
#define VERNIER_TESTS_EXPORT_EXPORT_RECIPE_H_

#include <filesystem>

#include "checkpoint/source_model.h"
#include "export/exporter.h"
#include "recipes/convert_recipe.h"
#include "recipes/plan.h"

namespace vernier::exporter {

inline ExportSummary ExportPlan(const checkpoint::SourceModel& source,
                                const recipes::Recipe& recipe, const recipes::Plan& plan) {
  run::Store store = run::Store::Open(recipe.run_dir);
  if (!store.CalibrationFinished()) store.FinishCalibration();
  Progress progress = Progress::Silent();
  return Export({.source = source,
                 .plan = plan,
                 .recipe = recipe,
                 .inputs = {},
                 .store = store,
                 .output = recipe.output,
                 .settings = {.threads = 2},
                 .progress = progress});
}

// With input scales of 1 where the format has some.
inline ExportSummary ConvertTo(const std::filesystem::path& output,
                               const checkpoint::SourceModel& source, checkpoint::Format format) {
  const recipes::Recipe recipe = recipes::ConvertRecipe(
      {.source = source,
       .output = output,
       .weights = format,
       .activations = format->has_input_scale() ? recipes::ActivationScales::kConstant
                                                : recipes::ActivationScales::kNone});
  return ExportPlan(source, recipe, recipes::MakePlan(source, recipe));
}

}  // namespace vernier::exporter

#endif  // VERNIER_TESTS_EXPORT_EXPORT_RECIPE_H_

#include "tools/calibration_step.h"

#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <string>

#include "calib/blas_core.h"
#include "calib/calibrate.h"
#include "calib/device.h"
#include "datasets/calibration_set.h"
#include "datasets/tokenizer.h"

namespace vernier::tools {

recipes::MachineMemory ReadMachineMemory(const recipes::Recipe& recipe) {
  return calib::ReadMachineMemory(calib::ParseDevice(recipe.compute.device));
}

void RestartForBlas(char** argv) {
  const std::optional<std::string> core = calib::BetterBlasCore();
  if (!core) return;
  setenv(calib::kBlasCoreVariable, core->c_str(), /*overwrite=*/0);
  execv("/proc/self/exe", argv);
  // Without a restart everything works, only slower.
}

CalibrationOutcome RunCalibration(const checkpoint::SourceModel& source,
                                  const recipes::Recipe& recipe, const recipes::Plan& plan,
                                  calib::Store& store, Progress& progress) {
  calib::SetThreads(recipe.compute.threads);
  const recipes::CalibrationBudget budget =
      recipes::PlanBudget(source, recipe, ReadMachineMemory(recipe));
  const datasets::Tokenizer tokenizer = datasets::Tokenizer::Load(recipe.source);
  const datasets::CalibrationSet tokens =
      datasets::BuildCalibrationSet(recipe.calibration.data, tokenizer);
  const calib::CalibrationSummary summary = calib::Calibrate(
      {.source = source, .recipe = recipe, .plan = plan, .budget = budget, .tokens = tokens},
      store, progress);
  return {.layers = summary.layers,
          .resumed_at_layer = summary.resumed_at_layer,
          .samples = tokens.samples,
          .tokens = summary.tokens};
}

}  // namespace vernier::tools

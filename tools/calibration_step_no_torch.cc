#include "base/error.h"
#include "tools/calibration_step.h"

namespace vernier::tools {
namespace {

[[noreturn]] void ThrowNoTorch(const recipes::Recipe& recipe) {
  throw Error(ErrorCode::kNoTorch, recipe.origin.string(),
              "calibration and device \"" + recipe.compute.device +
                  "\" need libtorch, which this build leaves out",
              "Build with -DVERNIER_WITH_TORCH=ON");
}

}  // namespace

recipes::MachineMemory ReadMachineMemory(const recipes::Recipe& recipe) {
  if (recipe.compute.device != "cpu") ThrowNoTorch(recipe);
  const uint64_t available = recipes::AvailableHostMemory();
  return {.host_available = available, .device_available = available};
}

void RestartForBlas(char**) {}

CalibrationOutcome RunCalibration(const checkpoint::SourceModel&, const recipes::Recipe& recipe,
                                  const recipes::Plan&, calib::Store&, Progress&) {
  ThrowNoTorch(recipe);
}

}  // namespace vernier::tools

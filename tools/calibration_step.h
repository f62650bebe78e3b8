// The part of the pipeline that needs libtorch: calibration_step.cc with it, calibration_step_no_torch.cc
// without.
#ifndef VERNIER_TOOLS_CALIBRATION_STEP_H_
#define VERNIER_TOOLS_CALIBRATION_STEP_H_

#include <cstdint>

#include "base/progress.h"
#include "calib/store/store.h"
#include "checkpoint/source_model.h"
#include "recipes/budget.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"

namespace vernier::tools {

struct CalibrationOutcome {
  int64_t layers = 0;
  int64_t resumed_at_layer = 0;
  int64_t samples = 0;
  int64_t tokens = 0;  // real tokens, the same in every layer
};

// Free memory of the host and of the recipe's device (kBadDevice; kNoTorch for a device other than
// "cpu" in a build without libtorch).
recipes::MachineMemory ReadMachineMemory(const recipes::Recipe& recipe);

// Starts the process anew, once, when libtorch's BLAS must be told of a better kernel before it loads
// (calib/blas_core.h); returns when all is well, or when that is not possible. To be called before
// anything else.
void RestartForBlas(char** argv);

// Tokenises the recipe's data and runs every layer that the store lacks (kNoTorch in a build without
// libtorch). Progress phase "calibrate".
CalibrationOutcome RunCalibration(const checkpoint::SourceModel& source,
                                  const recipes::Recipe& recipe, const recipes::Plan& plan,
                                  calib::Store& store, Progress& progress);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_CALIBRATION_STEP_H_

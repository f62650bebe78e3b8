// What ties a store to its job, as far as headers and the recipe tell.
#ifndef VERNIER_CALIB_STORE_RUN_IDENTITY_H_
#define VERNIER_CALIB_STORE_RUN_IDENTITY_H_

#include "calib/store/store.h"
#include "checkpoint/source_model.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"

namespace vernier::calib {

// Fields "source" (fingerprint), "calibration" (recipes::CalibrationIdentity) and
// "observed_modules" (hash). Calibration adds the fingerprint of the tokens. Devices, budgets,
// threads and how weights are scaled are not in it: they may change between calibration and export.
RunIdentity PlanIdentity(const checkpoint::SourceModel& source, const recipes::Recipe& recipe,
                         const recipes::Plan& plan);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_STORE_RUN_IDENTITY_H_

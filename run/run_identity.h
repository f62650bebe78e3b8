// The identity of a job, as far as headers and the recipe tell.
#ifndef VERNIER_RUN_RUN_IDENTITY_H_
#define VERNIER_RUN_RUN_IDENTITY_H_

#include "checkpoint/source_model.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "run/identity.h"
#include "run/store.h"

namespace vernier::run {

// To be raised by a change after which the same inputs give other statistics: stores that were made
// before it are then refused.
inline constexpr int kNumericsVersion = 7;

// Fields "source" (fingerprint) and "observed_modules" (hash of their names); when the recipe
// observes inputs also "numerics" (kNumericsVersion) and "calibration.*", one per field of
// recipes::CalibrationIdentity, and "weighted_modules" (hash of the names of modules of which sums
// of squares are kept). "tried_formats" (hash of names) stands for a budget, whatever it is.
// "cpu_products" ("f32" or "bf16") stands for a calibration in BF16 on a CPU unless it is still to
// be chosen. Calibration adds "tokens" and "tokenizer" (fingerprints). Devices, budgets, threads
// and how weights are scaled are not in it: they may change between calibration and export.
RunIdentity PlanIdentity(const checkpoint::SourceModel& source, const recipes::Recipe& recipe,
                         const recipes::Plan& plan);

// `identity` as the store of a finished calibration allows it: what was observed stays what it is,
// whichever version of the arithmetic it was observed with. Of any other store, as it is.
RunIdentity AsFinished(RunIdentity identity, const Store& store);

}  // namespace vernier::run

#endif  // VERNIER_RUN_RUN_IDENTITY_H_

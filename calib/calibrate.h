// Calibration: the layer loop with a recorder, committed to the store layer by layer.
#ifndef VERNIER_CALIB_CALIBRATE_H_
#define VERNIER_CALIB_CALIBRATE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "base/progress.h"
#include "base/stage_times.h"
#include "calib/budget/budget.h"
#include "calib/budget/loop_constants.h"
#include "calib/weight_stream.h"
#include "checkpoint/source_model.h"
#include "datasets/calibration_set.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "run/store.h"

namespace vernier::calib {

struct CalibrationRequest {
  const checkpoint::SourceModel& source;
  const recipes::Recipe& recipe;
  const recipes::Plan& plan;
  const CalibrationBudget& budget;
  const datasets::CalibrationSet& tokens;
  std::string tokenizer;  // fingerprint
  // How weights are read ahead; nothing: as a TensorLoader does by itself.
  std::optional<WeightStreamOptions> stream = {};
  uint64_t solved_batch_bytes = kSolvedBatchBytes;  // as for SolvedSpool
};

struct CalibrationSummary {
  int64_t layers = 0;
  int64_t resumed_at_layer = 0;  // 0: started from the beginning
  int64_t tokens = 0;            // real tokens per layer
  std::vector<StageTime> stages = {};
};

// Runs every layer that the store lacks. When a layer ends, its amax values (moved to the CPU),
// token counts and the hidden states behind it are committed together; a killed run starts again at
// the layer it was in. Progress phase: "calibrate". Errors: kStoreIdentity, kBadDevice,
// kBadActivation (the store keeps all finished layers), and those of reading weights.
CalibrationSummary Calibrate(const CalibrationRequest& request, run::Store& store,
                             Progress& progress);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_CALIBRATE_H_

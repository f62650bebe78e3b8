// The jobs that run a model. They need libtorch, whose loading takes half a second and 150 MB, so
// that not every program has them: whoever wants one asks for this object first, and a program
// without libtorch has none to give.
#ifndef VERNIER_JOBS_MODEL_JOBS_H_
#define VERNIER_JOBS_MODEL_JOBS_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/progress.h"
#include "base/stage_times.h"
#include "calib/budget/budget.h"
#include "calib/budget/forecast.h"
#include "checkpoint/source_model.h"
#include "jobs/eval.h"
#include "jobs/generate.h"
#include "jobs/layertest.h"
#include "jobs/trace.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "run/store.h"

namespace vernier::jobs {

struct CalibrationOutcome {
  int64_t layers = 0;
  int64_t resumed_at_layer = 0;
  int64_t samples = 0;
  int64_t tokens = 0;                  // real tokens, the same in every layer
  std::vector<StageTime> stages = {};  // where the time went, since memory last ran out
  // Of a device that is not the CPU: most bytes of tensors at once, where libtorch tells, and what
  // there was for them in the end; and how often others had left less than the budget.
  std::optional<uint64_t> device_peak = {};
  uint64_t device_limit = 0;
  int ran_out = 0;
};

class ModelJobs {
 public:
  virtual ~ModelJobs() = default;

  // Free memory of the host and of `device` (kBadDevice).
  virtual calib::MachineMemory ReadMemory(std::string_view device) const = 0;

  // How fast the recipe's device computes layers of `source`.
  virtual calib::ComputeSpeed MeasureSpeed(const checkpoint::SourceModel& source,
                                           const recipes::Recipe& recipe,
                                           const recipes::Plan& plan) const = 0;

  // Tokenises the recipe's data and runs every layer that the store lacks. Progress phase
  // "calibrate".
  virtual CalibrationOutcome Calibrate(const checkpoint::SourceModel& source,
                                       const recipes::Recipe& recipe, const recipes::Plan& plan,
                                       run::Store& store, Progress& progress) const = 0;

  // As the functions of these names.
  virtual EvalSummary Evaluate(const EvalSpec& spec, ProgressListener& listener) const = 0;
  virtual std::vector<GeneratedText> Generate(const GenerateSpec& spec, const TextSeen& seen,
                                              ProgressListener& listener) const = 0;
  virtual calib::LayerTestResult TestLayer(const LayerTestSpec& spec,
                                           ProgressListener& listener) const = 0;
  virtual TraceSummary Trace(const TraceSpec& spec, ProgressListener& listener) const = 0;
};

// `models`, or kNoTorch for `what` when there are none.
const ModelJobs& RequireModels(const ModelJobs* models, std::string_view what);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_MODEL_JOBS_H_

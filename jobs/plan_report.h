// What a recipe would do, computed from headers; nothing is written.
#ifndef VERNIER_JOBS_PLAN_REPORT_H_
#define VERNIER_JOBS_PLAN_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "base/json.h"
#include "calib/budget/budget.h"
#include "calib/budget/forecast.h"
#include "checkpoint/source_model.h"
#include "jobs/model_jobs.h"
#include "recipes/plan.h"
#include "recipes/plan_summary.h"
#include "recipes/recipe.h"

namespace vernier::jobs {

struct PlanReport {
  recipes::Recipe recipe;
  checkpoint::SourceModel source;
  recipes::Plan plan = {};
  std::optional<recipes::Plan> spent = {};  // what a budget makes of it, where that is known
  std::string unspent = {};                 // why it is not known
  recipes::PlanSummary summary = {};
  recipes::DataPasses passes = {};
  uint64_t scale_bytes = 0;  // read by the export before everything else
  calib::CalibrationBudget budget = {};
  calib::DiskNeeds disk = {};
  bool probed = false;  // whether `speed` was measured, as far as the plan needs it
  calib::MachineSpeed speed = {};
  calib::TimeForecast time = {};

  int64_t ExpertGroups() const;  // of a layer
  // Weights that calibration solves itself, and those on which it tries formats.
  int64_t SolvedWeights() const;
  int64_t TriedWeights() const;
  const recipes::Plan& OutputPlan() const { return spent ? *spent : plan; }
};

enum class SpeedFrom {
  kUsual,  // rates that are usual for the device
  kProbe,  // rates measured here, which takes seconds
};

// Whether the plan depends on a device's memory, which only libtorch knows, or on how fast it
// computes. With a given memory, plans are made for devices that this machine does not have.
bool PlanNeedsModels(const recipes::Recipe& recipe, SpeedFrom speed_from);

// `models` may be null unless PlanNeedsModels (kNoTorch).
PlanReport MakePlanReport(recipes::Recipe recipe, SpeedFrom speed_from, const ModelJobs* models);

// Sizes in bytes, times in seconds.
Json PlanJson(const PlanReport& report);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_PLAN_REPORT_H_

// A plan in totals: what `vernier plan` and the final summary show.
#ifndef VERNIER_RECIPES_PLAN_SUMMARY_H_
#define VERNIER_RECIPES_PLAN_SUMMARY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/source_model.h"
#include "recipes/plan.h"

namespace vernier::recipes {

// Physical tensors (scales count too) and their bytes, before and after.
struct TensorTotals {
  uint64_t source_tensors = 0;
  uint64_t source_bytes = 0;
  uint64_t output_tensors = 0;
  uint64_t output_bytes = 0;
};

// The weights of one role that are treated alike.
struct RoleSummary {
  checkpoint::Role role = checkpoint::Role::kOther;
  std::string action;    // "keep", "nvfp4 (mse)", "mxfp8", "bf16", "drop"
  uint64_t weights = 0;  // logical ones
  TensorTotals totals;
};

struct PlanSummary {
  std::vector<RoleSummary> rows;  // by role, then action
  TensorTotals totals;
};
PlanSummary SummarizePlan(const checkpoint::SourceModel& source, const Plan& plan);

// Source bytes that each phase reads. An export may read some weights twice: those whose common
// scale it cannot hold them for (export/weight_scales.h).
struct DataPasses {
  uint64_t calibration = 0;   // weights of the decoder layers; 0 when nothing is observed
  uint64_t quantisation = 0;  // everything, for the output
};
DataPasses CountPasses(const checkpoint::SourceModel& source, const Plan& plan);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_PLAN_SUMMARY_H_

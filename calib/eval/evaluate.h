// Perplexity of a checkpoint, with and without quantised activations, and its distance from a
// reference.
#ifndef VERNIER_CALIB_EVAL_EVALUATE_H_
#define VERNIER_CALIB_EVAL_EVALUATE_H_

#include <filesystem>
#include <optional>
#include <vector>

#include "base/progress.h"
#include "calib/activation_format.h"
#include "calib/budget/budget.h"
#include "calib/budget/workload.h"
#include "calib/eval/result.h"
#include "checkpoint/source_model.h"
#include "datasets/evaluation_set.h"

namespace vernier::calib {

// A model and how its loop runs.
struct EvalModel {
  const checkpoint::SourceModel& source;
  CalibrationBudget budget;
};

struct EvalRequest {
  EvalModel model;
  std::optional<EvalModel> reference;
  std::vector<EvalVariant> variants;  // of the model; without kReference
  const ComputeSpec& compute;
  const datasets::EvaluationSet& data;
  std::filesystem::path scratch_directory;  // for spilled buffers; nobody else uses it
  ExpertInputScale expert_input_scale = ExpertInputScale::kLargest;
};

// The models of a request, with budgets that leave room for the reference's hidden states, and of
// which batches and query chunks agree, so that equal models give equal numbers. `reference` may be
// null. `workload`: that of one model. kBudgetTooSmall; kBadArgument for models whose vocabulary or
// number of layers differs.
struct EvalModels {
  EvalModel model;
  std::optional<EvalModel> reference;
};
EvalModels PlanEvaluation(const checkpoint::SourceModel& model,
                          const checkpoint::SourceModel* reference, const ComputeSpec& compute,
                          const Workload& workload, const MachineMemory& machine);

// One phase for each variant, by its name.
std::vector<PhaseForecast> EvaluationPhases(const EvalRequest& request);

// Runs the reference, if there is one, and then each variant, layer by layer; holds the working set
// of one of them, the reference's final hidden states (in files where the loop's are), logits of a
// bounded number of positions, and three numbers a token. Errors: those of LayerLoop and
// ScoreTokens, and kInterrupted.
EvalResult Evaluate(const EvalRequest& request, Progress& progress);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_EVAL_EVALUATE_H_

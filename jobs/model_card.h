// The model card of an output.
#ifndef VERNIER_JOBS_MODEL_CARD_H_
#define VERNIER_JOBS_MODEL_CARD_H_

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "audit/report.h"
#include "checkpoint/source_model.h"
#include "jobs/eval.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "run/store.h"

namespace vernier::jobs {

// The evaluation of a recipe's output against its source, on the device and in the dtype of its
// calibration. Of each file the first windows: enough for a card, and bounded in time.
EvalSpec EvaluationOfOutput(const recipes::Recipe& recipe, const std::vector<std::string>& data);

struct ModelCardRequest {
  const checkpoint::SourceModel& source;
  const recipes::Recipe& recipe;
  const recipes::Plan& plan;
  const run::Store& store;  // of the run
  std::string plan_hash;    // of the export
  const audit::AuditReport* audit = nullptr;
};

inline constexpr std::string_view kEvaluationFileName = "evaluation.json";

// Keeps in the run directory how the output of that plan did, all or nothing. Errors: as
// WriteModelCard.
void SaveEvaluation(const std::filesystem::path& run_dir, const std::string& plan_hash,
                    const EvalSummary& summary);

// Writes the card (report/model_card.h) into the recipe's output, all or nothing, with the
// evaluation that was kept of this plan's output. Errors: kFileOpen, kFileRead, kFileWrite,
// kNoSpace, kBadJson.
void WriteModelCard(const ModelCardRequest& request);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_MODEL_CARD_H_

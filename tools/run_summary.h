// What a person reads at the end of run, calibrate, export and convert.
#ifndef VERNIER_TOOLS_RUN_SUMMARY_H_
#define VERNIER_TOOLS_RUN_SUMMARY_H_

#include <optional>

#include "audit/report.h"
#include "base/progress.h"
#include "checkpoint/source_model.h"
#include "export/exporter.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "run/store.h"
#include "tools/torch_steps.h"

namespace vernier::tools {

// A job and the steps of it that were taken.
struct RunSummary {
  const checkpoint::SourceModel& source;
  const recipes::Recipe& recipe;
  const recipes::Plan& plan;
  const run::Store& store;
  const Progress& progress;
  const std::optional<CalibrationOutcome>& calibration;
  const std::optional<exporter::ExportSummary>& exported;
  const std::optional<audit::AuditReport>& audit;
};

// On standard output.
void PrintRunSummary(const RunSummary& summary);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_RUN_SUMMARY_H_

// The steps that run, calibrate and export are made of.
#ifndef VERNIER_TOOLS_PIPELINE_H_
#define VERNIER_TOOLS_PIPELINE_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/report.h"
#include "base/progress.h"
#include "checkpoint/source_model.h"
#include "export/exporter.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "run/run_log.h"
#include "run/store.h"
#include "tools/command.h"
#include "tools/torch_steps.h"

namespace vernier::tools {

enum class Step { kCalibrate, kExport, kValidate };

// One job on one recipe. Each step may be taken once, in order of Step.
class Pipeline {
 public:
  // Opens the store: an existing one when the plan needs a calibration that is not among the steps
  // (kNotCalibrated otherwise), and one that belongs to this job (kStoreIdentity). The store then
  // knows of the command.
  Pipeline(checkpoint::SourceModel source, recipes::Recipe recipe, recipes::Plan plan,
           std::vector<Step> steps, const CommandContext& context);

  // Takes every step. True when the audit, if there was one, found no error.
  bool Run();

  // Tells the store how the command ended and how long its phases took.
  void End(run::CommandOutcome outcome, std::string_view message);

  // What happened, for a person; on standard output.
  void PrintSummary() const;

 private:
  void Take(Step step);
  void Calibrate();
  void Export();
  void Validate();

  checkpoint::SourceModel source_;
  recipes::Recipe recipe_;
  recipes::Plan plan_;
  std::vector<Step> steps_;
  run::Store store_;
  Progress progress_;
  int64_t command_ = 0;
  std::optional<CalibrationOutcome> calibration_;
  std::optional<exporter::ExportSummary> export_;
  std::optional<audit::AuditReport> audit_;
};

// The recipe's source. A recipe without calibrated scales runs no model, so that any will do.
checkpoint::SourceModel OpenSource(const recipes::Recipe& recipe);

// Plans, takes all steps, prints the summary and calls `afterwards`, if there is one; the command
// has finished only then. kNothingToConvert when the output would be a copy and nothing is done
// afterwards; kAuditFailed when there was an audit and it found errors.
void RunPipeline(checkpoint::SourceModel source, const recipes::Recipe& recipe,
                 const std::vector<Step>& steps, const CommandContext& context,
                 const std::function<void()>& afterwards = {});

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_PIPELINE_H_

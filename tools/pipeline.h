// The steps that run, calibrate and export are made of, and the summary at their end.
#ifndef VERNIER_TOOLS_PIPELINE_H_
#define VERNIER_TOOLS_PIPELINE_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "audit/report.h"
#include "base/progress.h"
#include "calib/store/store.h"
#include "checkpoint/source_model.h"
#include "export/exporter.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "tools/torch_steps.h"

namespace vernier::tools {

enum class Step { kCalibrate, kExport, kValidate };

// One job on one recipe. Each step may be taken once, in order of Step.
class Pipeline {
 public:
  // Plans, and opens the store: an existing one when the plan needs a calibration that is not among
  // the steps (kNotCalibrated otherwise), and one that belongs to this job (kStoreIdentity).
  Pipeline(checkpoint::SourceModel source, recipes::Recipe recipe, std::vector<Step> steps,
           ProgressStyle progress);

  // Takes every step. True when the audit, if there was one, found no error.
  bool Run();

  // What happened, for a person; on standard output.
  void PrintSummary() const;

 private:
  void Calibrate();
  void Export();
  void Validate();
  void PrintCalibration() const;
  void PrintExport() const;
  void PrintAudit() const;

  checkpoint::SourceModel source_;
  recipes::Recipe recipe_;
  std::vector<Step> steps_;
  recipes::Plan plan_;
  calib::Store store_;
  Progress progress_;
  std::optional<CalibrationOutcome> calibration_;
  std::optional<exporter::ExportSummary> export_;
  std::optional<audit::AuditReport> audit_;
};

// The recipe's source. A recipe without calibrated scales runs no model, so that any will do.
checkpoint::SourceModel OpenSource(const recipes::Recipe& recipe);

// Takes all steps and prints the summary. kAuditFailed when there was an audit and it found errors.
void RunPipeline(checkpoint::SourceModel source, const recipes::Recipe& recipe,
                 const std::vector<Step>& steps, ProgressStyle progress);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_PIPELINE_H_

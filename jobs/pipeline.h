// The steps that run, calibrate, export and convert are made of.
#ifndef VERNIER_JOBS_PIPELINE_H_
#define VERNIER_JOBS_PIPELINE_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "audit/report.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/resource_use.h"
#include "checkpoint/source_model.h"
#include "export/exporter.h"
#include "export/layout_packs.h"
#include "jobs/model_jobs.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "run/non_finite_record.h"

namespace vernier::jobs {

enum class Step { kCalibrate, kExport, kValidate };

struct PipelineSpec {
  recipes::Recipe recipe;
  std::vector<Step> steps;  // each at most once, in order of Step
  // Also written, into the output, once the steps are done and the audit, if any, found no error.
  std::vector<exporter::KernelLayout> layouts = {};
  // Text that the output is evaluated on, against its source, when it was exported and nothing
  // speaks against it; its card tells how it did. Empty: it is not.
  std::vector<std::string> evaluation_data = {};
  // What the run directory notes as the command: a line by which a shell repeats it. Empty: a
  // program's job.
  std::string command = {};
};

struct CalibrationSummary {
  CalibrationOutcome outcome;
  std::vector<run::NonFiniteRecord> clamped;  // activations, by module
};

// What was exported, and the facts of plan and source that it must be read with.
struct ExportOutcome {
  exporter::ExportSummary done;
  std::vector<std::string> left_out;  // the source's files that engines do not read
  int64_t source_tensors = 0;
  int64_t scale_groups = 0;
  bool calibrated_inputs = false;  // so that fallbacks are counted
  recipes::KvCache kv_cache = recipes::KvCache::kNone;
  std::optional<recipes::BudgetOutcome> budget = {};
};

struct LayoutOutcome {
  exporter::KernelLayout layout;
  exporter::PackSummary pack;
};

// How long a phase took, against its forecast, and of a step how busy the machine was meanwhile.
struct PhaseOutcome {
  PhaseTime time;
  std::optional<ResourceUse> use;
};

struct PipelineSummary {
  std::filesystem::path source, output, run_dir;
  std::string recipe = {};                 // the name of a shipped one
  std::vector<std::string> warnings = {};  // of the plan, before anything was written
  std::optional<CalibrationSummary> calibration = {};
  std::optional<ExportOutcome> exported = {};
  std::optional<audit::AuditReport> audit = {};
  std::optional<EvalSummary> evaluation = {};
  std::vector<LayoutOutcome> layouts = {};
  std::vector<PhaseOutcome> phases = {};  // of the steps, in their order, and of layouts

  // Whether what was written may be served, as far as it was audited.
  bool Clean() const { return !audit || audit->Clean(); }
};

// Opens the store: an existing one when the plan needs a calibration that is not among the steps
// (kNotCalibrated otherwise), and one that belongs to this job (kStoreIdentity). Takes the steps
// and tells the store of the command, how it ended and how long its phases took; nothing is
// calibrated for a plan that observes nothing. An output that was exported gets a model card. What
// the audit finds is in the summary and no exception (see AuditFailed).
//
// Progress phases: those of the steps. kNothingToConvert when the output would be a copy and no
// layouts are asked for; kNoTorch for a calibration or an evaluation without `models`; the errors
// of the steps.
PipelineSummary RunPipeline(checkpoint::SourceModel source, const PipelineSpec& spec,
                            const ModelJobs* models, ProgressListener& listener);

// The same with the recipe's source.
PipelineSummary RunPipeline(const PipelineSpec& spec, const ModelJobs* models,
                            ProgressListener& listener);

// The error with which a command ends whose summary is not clean.
Error AuditFailed(const std::filesystem::path& output);

// The recipe's source. A recipe without calibrated scales runs no model, so that any will do.
checkpoint::SourceModel OpenSource(const recipes::Recipe& recipe);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_PIPELINE_H_

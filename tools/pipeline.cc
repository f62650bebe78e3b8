#include "tools/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <thread>
#include <utility>

#include "audit/report_json.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "export/output_directory.h"
#include "recipes/budget.h"
#include "recipes/convert_recipe.h"
#include "report/audit_record.h"
#include "run/export_record.h"
#include "run/run_identity.h"
#include "run/source_ledger.h"
#include "tools/audit_step.h"
#include "tools/command_line.h"
#include "tools/run_summary.h"

namespace vernier::tools {
namespace {

constexpr std::string_view kCalibratePhase = "calibrate";

std::string_view PhaseName(Step step) {
  switch (step) {
    case Step::kCalibrate:
      return kCalibratePhase;
    case Step::kExport:
      return exporter::kExportPhase;
    case Step::kValidate:
      break;
  }
  return kValidatePhase;
}

std::string StepNames(const std::vector<Step>& steps) {
  std::vector<std::string> names;
  for (const Step step : steps) names.emplace_back(PhaseName(step));
  return JoinNames(names, " ");
}

// Nothing is calibrated for a plan that observes nothing.
std::vector<Step> StepsToTake(std::vector<Step> steps, const recipes::Plan& plan) {
  if (plan.observed_modules.empty()) std::erase(steps, Step::kCalibrate);
  return steps;
}

bool Has(const std::vector<Step>& steps, Step step) {
  return std::ranges::find(steps, step) != steps.end();
}

// Nothing is written before both are known to lie outside the source.
run::Store OpenStore(const recipes::Recipe& recipe, const recipes::Plan& plan,
                     const std::vector<Step>& steps) {
  exporter::RequireOutsideSource(recipe.output, recipe.source);
  exporter::RequireOutsideSource(recipe.run_dir, recipe.source);
  const bool calibrated_before = !Has(steps, Step::kCalibrate) && !plan.observed_modules.empty();
  return calibrated_before ? run::Store::OpenExisting(recipe.run_dir)
                           : run::Store::Open(recipe.run_dir);
}

std::vector<PhaseForecast> ForecastPhases(const checkpoint::SourceModel& source,
                                          const recipes::Recipe& recipe, const recipes::Plan& plan,
                                          const std::vector<Step>& steps) {
  const recipes::TimeForecast time = recipes::ForecastTime(source, recipe, plan, {});
  std::vector<PhaseForecast> phases;
  if (Has(steps, Step::kCalibrate)) {
    phases.push_back({std::string(kCalibratePhase), time.calibrate_seconds});
  }
  if (Has(steps, Step::kExport)) {
    phases.push_back({std::string(exporter::kExportPhase), time.export_seconds});
  }
  if (Has(steps, Step::kValidate)) {
    phases.push_back({std::string(kValidatePhase), time.validate_seconds});
  }
  return phases;
}

int ThreadCount(int requested) {
  if (requested > 0) return requested;
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

exporter::StreamSettings StreamSettingsOf(const recipes::ComputeSection& compute) {
  return {.threads = ThreadCount(compute.threads),
          .io = IoOptionsFromEnvironment(),
          .limits = exporter::LimitsOf(compute.stream_memory)};
}

// The audit holds about twice what it reads ahead, which beyond some tens of MiB gains nothing.
uint64_t AuditWindow(uint64_t stream_memory) {
  return std::clamp(stream_memory / 8, uint64_t{8} << 20, audit::kDefaultWindowBytes);
}

uint64_t BytesBelow(const std::filesystem::path& directory) {
  if (!std::filesystem::is_directory(directory)) return 0;
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

// The export looks again, but that is hours later. What an earlier run wrote needs no more room.
void RequireRoomForOutput(const recipes::Plan& plan, const std::filesystem::path& output) {
  const uint64_t needed = plan.OutputFileBytes();
  RequireFreeSpace(output, needed - std::min(needed, BytesBelow(output)), "the output");
}

}  // namespace

Pipeline::Pipeline(checkpoint::SourceModel source, recipes::Recipe recipe, recipes::Plan plan,
                   std::vector<Step> steps, const CommandContext& context)
    : source_(std::move(source)),
      recipe_(std::move(recipe)),
      plan_(std::move(plan)),
      steps_(StepsToTake(std::move(steps), plan_)),
      store_(OpenStore(recipe_, plan_, steps_)),
      progress_(context.progress, stderr, ForecastPhases(source_, recipe_, plan_, steps_)) {
  // A calibrated plan's identity is recorded by calibration, with the tokens that only it knows.
  const run::RunIdentity identity = run::PlanIdentity(source_, recipe_, plan_);
  if (plan_.observed_modules.empty()) {
    store_.RequireIdentity(identity);
  } else {
    store_.CheckIdentity(identity);
  }
  run::RequireSourceFiles(store_, source_.checkpoint);
  command_ =
      run::BeginCommand(store_.database(), RepeatableCommand(context.argv), StepNames(steps_));
}

bool Pipeline::Run() {
  for (const Step step : steps_) {
    run::BeginPhase(store_.database(), PhaseName(step));
    Take(step);
  }
  return !audit_ || audit_->Clean();
}

void Pipeline::Take(Step step) {
  switch (step) {
    case Step::kCalibrate:
      return Calibrate();
    case Step::kExport:
      return Export();
    case Step::kValidate:
      return Validate();
  }
}

void Pipeline::End(run::CommandOutcome outcome, std::string_view message) {
  for (const auto& [phase, seconds] : progress_.PhaseSeconds()) {
    if (seconds > 0) run::EndPhase(store_.database(), phase, seconds);
  }
  run::EndCommand(store_.database(), command_, outcome, message);
}

void Pipeline::Calibrate() {
  if (Has(steps_, Step::kExport)) RequireRoomForOutput(plan_, recipe_.output);
  calibration_ = RunCalibration(source_, recipe_, plan_, store_, progress_);
}

void Pipeline::Export() {
  export_ = exporter::Export({.source = source_,
                              .plan = plan_,
                              .recipe = recipe_,
                              .inputs = store_.Inputs(),
                              .store = store_,
                              .output = recipe_.output,
                              .settings = StreamSettingsOf(recipe_.compute),
                              .progress = progress_});
}

void Pipeline::Validate() {
  audit_ = RunAudit({.directory = recipe_.output,
                     .source = recipe_.source,
                     .window_bytes = AuditWindow(recipe_.compute.stream_memory)},
                    progress_);
  if (!export_) return;
  report::SaveAudit(store_.run_dir(), {.plan_hash = export_->plan_hash,
                                       .output = std::filesystem::absolute(recipe_.output),
                                       .source = std::filesystem::absolute(recipe_.source),
                                       .output_state = report::OutputState(recipe_.output),
                                       .audit = audit::ReportJson(*audit_)});
  run::RecordAudit(store_.database(), export_->plan_hash, audit_->Count(audit::Severity::kError));
}

void Pipeline::PrintSummary() const {
  PrintRunSummary({.source = source_,
                   .recipe = recipe_,
                   .plan = plan_,
                   .store = store_,
                   .progress = progress_,
                   .calibration = calibration_,
                   .exported = export_,
                   .audit = audit_});
}

namespace {

run::CommandOutcome OutcomeOf(ErrorCode code) {
  if (code == ErrorCode::kInterrupted) return run::CommandOutcome::kInterrupted;
  if (code == ErrorCode::kStoreIdentity) return run::CommandOutcome::kRefused;
  return run::CommandOutcome::kFailed;
}

// The failure under way is what the user must see, even where the store cannot take a note of it.
void EndAfterFailure(Pipeline& pipeline, run::CommandOutcome outcome, std::string_view message) {
  try {
    pipeline.End(outcome, message);
  } catch (const Error&) {
    return;
  }
}

[[noreturn]] void ThrowAuditFailed(const std::filesystem::path& output) {
  throw Error(ErrorCode::kAuditFailed, output.string(),
              "the audit above found errors in what was written",
              "Do not serve it; correct the recipe or the source and export again");
}

}  // namespace

checkpoint::SourceModel OpenSource(const recipes::Recipe& recipe) {
  return recipes::ObservesInputs(recipe) ? checkpoint::OpenSourceModel(recipe.source)
                                         : checkpoint::OpenAnySourceModel(recipe.source);
}

void RunPipeline(checkpoint::SourceModel source, const recipes::Recipe& recipe,
                 const std::vector<Step>& steps, const CommandContext& context,
                 const std::function<void()>& afterwards) {
  recipes::Plan plan = recipes::MakePlan(source, recipe);
  if (!afterwards) recipes::RequireConversion(source, plan);
  Pipeline pipeline(std::move(source), recipe, std::move(plan), steps, context);
  try {
    const bool clean = pipeline.Run();
    pipeline.PrintSummary();
    if (!clean) ThrowAuditFailed(recipe.output);
    if (afterwards) afterwards();
  } catch (const Error& error) {
    EndAfterFailure(pipeline, OutcomeOf(error.code()), error.what());
    throw;
  } catch (const std::exception& error) {
    EndAfterFailure(pipeline, run::CommandOutcome::kFailed, error.what());
    throw;
  }
  pipeline.End(run::CommandOutcome::kFinished, "");
}

}  // namespace vernier::tools

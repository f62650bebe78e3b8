#include "jobs/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "audit/report_json.h"
#include "base/file.h"
#include "base/text.h"
#include "base/thread_count.h"
#include "calib/budget/forecast.h"
#include "datasets/tokenizer.h"
#include "export/output_directory.h"
#include "jobs/audit_step.h"
#include "jobs/budget.h"
#include "jobs/model_card.h"
#include "recipes/convert_recipe.h"
#include "recipes/format_choice.h"
#include "recipes/plan.h"
#include "report/audit_record.h"
#include "run/export_record.h"
#include "run/run_identity.h"
#include "run/run_log.h"
#include "run/source_ledger.h"
#include "run/store.h"

namespace vernier::jobs {
namespace {

constexpr std::string_view kCalibratePhase = "calibrate";

// What `vernier status` shows when a program did not say how it is begun.
constexpr std::string_view kNoCommand = "the same job of the program that began it";

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

// Nothing is calibrated for a plan that observes nothing, and what holds all of a model is not
// what the audit's engines read.
std::vector<Step> StepsToTake(std::vector<Step> steps, const recipes::Plan& plan) {
  if (plan.observed_modules.empty()) std::erase(steps, Step::kCalibrate);
  if (plan.container->holds_all()) std::erase(steps, Step::kValidate);
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
  const calib::TimeForecast time = calib::ForecastTime(
      source, calib::WorkloadOf(recipe, source.layout, plan), plan,
      calib::UsualSpeed(source, recipe.compute.device, ComputeThreadCount(recipe.compute.threads)));
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
void RequireRoomForOutput(uint64_t needed, const std::filesystem::path& output) {
  RequireFreeSpace(output, needed - std::min(needed, BytesBelow(output)), "the output");
}

// What would end the evaluation, which looks again, but hours later.
void RequireEvaluation(const PipelineSpec& spec, const recipes::Plan& plan,
                       const ModelJobs* models) {
  if (spec.evaluation_data.empty()) return;
  if (plan.container->holds_all()) {
    throw Error(ErrorCode::kBadArgument, "--eval",
                fmt::format("evaluates no checkpoint of the dialect {}", plan.dialect->name),
                "Leave it out: the same weights in another dialect can be evaluated");
  }
  for (const std::string& path : spec.evaluation_data) {
    if (std::filesystem::exists(path)) continue;
    throw Error(ErrorCode::kFileOpen, path, "there is no such file or directory",
                "Give text to evaluate the output on, or leave the evaluation out");
  }
  checkpoint::OpenSourceModel(spec.recipe.source);
  datasets::Tokenizer::Load(spec.recipe.source);
  RequireModels(models, "evaluation").ReadMemory(spec.recipe.compute.device);
}

// One job on one recipe.
class Pipeline {
 public:
  Pipeline(checkpoint::SourceModel source, recipes::Plan plan, const PipelineSpec& spec,
           const ModelJobs* models, ProgressListener& listener)
      : source_(std::move(source)),
        recipe_(spec.recipe),
        plan_(std::move(plan)),
        steps_(StepsToTake(spec.steps, plan_)),
        layouts_(spec.layouts),
        evaluation_data_(spec.evaluation_data),
        models_(NeededModels(models)),
        store_(OpenStore(recipe_, plan_, steps_)),
        listener_(listener),
        progress_(listener, ForecastPhases(source_, recipe_, plan_, steps_)) {
    // A calibrated plan's identity is recorded by calibration, with the tokens that only it knows.
    const run::RunIdentity identity =
        run::AsFinished(run::PlanIdentity(source_, recipe_, plan_), store_);
    if (plan_.observed_modules.empty()) {
      store_.RequireIdentity(identity);
    } else {
      store_.CheckIdentity(identity);
    }
    run::RequireSourceFiles(store_, source_.checkpoint);
    command_ = run::BeginCommand(
        store_.database(), spec.command.empty() ? kNoCommand : spec.command, StepNames(steps_));
    summary_ = {.source = recipe_.source,
                .output = recipe_.output,
                .run_dir = store_.run_dir(),
                .recipe = recipe_.shipped_as,
                .warnings = plan_.warnings};
  }

  void Run() {
    for (const Step step : steps_) {
      run::BeginPhase(store_.database(), PhaseName(step));
      const ResourceMeter meter(step == Step::kCalibrate ? recipe_.compute.device : "cpu");
      Take(step);
      uses_.push_back(meter.Use());
      run::LogEvent(store_.database(), "busy",
                    fmt::format("{}: {}", PhaseName(step), BusyText(uses_.back())));
    }
    if (summary_.exported) WriteCard();  // before what may fail and can be done again
    if (!summary_.Clean()) return;
    WriteLayouts();
    if (summary_.exported && !evaluation_data_.empty()) Evaluate();
  }

  // Tells the store how the command ended and how long its phases took.
  void End(run::CommandOutcome outcome, std::string_view message) {
    for (const PhaseTime& phase : progress_.PhaseTimes()) {
      if (phase.seconds > 0) run::EndPhase(store_.database(), phase.name, phase.seconds);
    }
    run::EndCommand(store_.database(), command_, outcome, message);
  }

  PipelineSummary Summary() && {
    // The steps' phases come first, those of layouts behind them.
    const std::vector<PhaseTime> times = progress_.PhaseTimes();
    for (size_t i = 0; i < times.size(); ++i) {
      summary_.phases.push_back(
          {.time = times[i], .use = i < uses_.size() ? std::optional(uses_[i]) : std::nullopt});
    }
    return std::move(summary_);
  }

  bool Clean() const { return summary_.Clean(); }

 private:
  const ModelJobs* NeededModels(const ModelJobs* models) const {
    if (Has(steps_, Step::kCalibrate)) return &RequireModels(models, "calibration");
    return evaluation_data_.empty() ? nullptr : &RequireModels(models, "evaluation");
  }

  void Take(Step step) {
    switch (step) {
      case Step::kCalibrate:
        return Calibrate();
      case Step::kExport:
        return Export();
      case Step::kValidate:
        return Validate();
    }
  }

  void Calibrate() {
    if (Has(steps_, Step::kExport)) {
      RequireRoomForOutput(recipes::MostOutputBytes(source_, recipe_, plan_), recipe_.output);
    }
    const CalibrationOutcome outcome =
        models_->Calibrate(source_, recipe_, plan_, store_, progress_);
    summary_.calibration = {.outcome = outcome, .clamped = run::LoadNonFinite(store_.database())};
  }

  void Export() {
    if (auto chosen = SpendBudget(source_, recipe_, plan_, store_)) plan_ = std::move(*chosen);
    summary_.exported = {
        .done = exporter::Export({.source = source_,
                                  .plan = plan_,
                                  .recipe = recipe_,
                                  .inputs = store_.Inputs(),
                                  .store = store_,
                                  .output = recipe_.output,
                                  .settings = StreamSettingsOf(recipe_.compute),
                                  .progress = progress_}),
        .left_out = source_.checkpoint.left_out(),
        .source_tensors = static_cast<int64_t>(source_.checkpoint.stored_tensors().size()),
        .scale_groups = static_cast<int64_t>(plan_.scale_groups.size()),
        .calibrated_inputs =
            std::ranges::any_of(plan_.weights, &recipes::WeightPlan::HasCalibratedInputs),
        .kv_cache = plan_.kv_cache,
        .budget = plan_.budget};
  }

  void Validate() {
    summary_.audit = RunAudit({.directory = recipe_.output,
                               .source = recipe_.source,
                               .window_bytes = AuditWindow(recipe_.compute.stream_memory)},
                              progress_);
    if (summary_.exported) RecordAudit(summary_.exported->done.plan_hash, *summary_.audit);
  }

  void RecordAudit(const std::string& plan_hash, const audit::AuditReport& report) {
    report::SaveAudit(store_.run_dir(), {.plan_hash = plan_hash,
                                         .output = std::filesystem::absolute(recipe_.output),
                                         .source = std::filesystem::absolute(recipe_.source),
                                         .output_state = report::OutputState(recipe_.output),
                                         .audit = audit::ReportJson(report)});
    run::RecordAudit(store_.database(), plan_hash, report.Count(audit::Severity::kError));
  }

  void WriteLayouts() {
    if (layouts_.empty()) return;
    const checkpoint::SourceModel written = checkpoint::OpenAnySourceModel(recipe_.output);
    for (const exporter::KernelLayout layout : layouts_) {
      summary_.layouts.push_back(
          {.layout = layout, .pack = exporter::WriteLayoutPacks(written, layout, progress_)});
    }
  }

  void Evaluate() {
    summary_.evaluation =
        models_->Evaluate(EvaluationOfOutput(recipe_, evaluation_data_), listener_);
    SaveEvaluation(store_.run_dir(), summary_.exported->done.plan_hash, *summary_.evaluation);
    WriteCard();
  }

  void WriteCard() {
    WriteModelCard({.source = source_,
                    .recipe = recipe_,
                    .plan = plan_,
                    .store = store_,
                    .plan_hash = summary_.exported->done.plan_hash,
                    .audit = summary_.audit ? &*summary_.audit : nullptr});
  }

  checkpoint::SourceModel source_;
  recipes::Recipe recipe_;
  recipes::Plan plan_;
  std::vector<Step> steps_;
  std::vector<exporter::KernelLayout> layouts_;
  std::vector<std::string> evaluation_data_;
  const ModelJobs* models_;  // for a calibration or an evaluation
  run::Store store_;
  ProgressListener& listener_;
  Progress progress_;
  int64_t command_ = 0;
  std::vector<ResourceUse> uses_;  // of steps taken
  PipelineSummary summary_;
};

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

}  // namespace

PipelineSummary RunPipeline(checkpoint::SourceModel source, const PipelineSpec& spec,
                            const ModelJobs* models, ProgressListener& listener) {
  recipes::Plan plan = recipes::MakePlan(source, spec.recipe);
  if (spec.layouts.empty()) recipes::RequireConversion(source, plan);
  RequireEvaluation(spec, plan, models);
  for (const std::string& warning : plan.warnings) listener.Warn(warning);
  Pipeline pipeline(std::move(source), std::move(plan), spec, models, listener);
  try {
    pipeline.Run();
  } catch (const Error& error) {
    EndAfterFailure(pipeline, OutcomeOf(error.code()), error.what());
    throw;
  } catch (const std::exception& error) {
    EndAfterFailure(pipeline, run::CommandOutcome::kFailed, error.what());
    throw;
  }
  if (pipeline.Clean()) {
    pipeline.End(run::CommandOutcome::kFinished, "");
  } else {
    pipeline.End(run::CommandOutcome::kFailed, AuditFailed(spec.recipe.output).what());
  }
  return std::move(pipeline).Summary();
}

PipelineSummary RunPipeline(const PipelineSpec& spec, const ModelJobs* models,
                            ProgressListener& listener) {
  return RunPipeline(OpenSource(spec.recipe), spec, models, listener);
}

Error AuditFailed(const std::filesystem::path& output) {
  return Error(ErrorCode::kAuditFailed, output.string(),
               "the audit found errors in what was written",
               "Do not serve it; correct the recipe or the source and export again");
}

checkpoint::SourceModel OpenSource(const recipes::Recipe& recipe) {
  return recipes::ObservesInputs(recipe) ? checkpoint::OpenSourceModel(recipe.source)
                                         : checkpoint::OpenAnySourceModel(recipe.source);
}

}  // namespace vernier::jobs

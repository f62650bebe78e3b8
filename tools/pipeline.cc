#include "tools/pipeline.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <thread>
#include <utility>

#include "audit/report_text.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "calib/store/run_identity.h"
#include "recipes/budget.h"
#include "recipes/plan_summary.h"
#include "tools/audit_step.h"

namespace vernier::tools {
namespace {

constexpr std::string_view kCalibratePhase = "calibrate";
constexpr size_t kFallbacksShown = 5;

bool Has(const std::vector<Step>& steps, Step step) {
  return std::ranges::find(steps, step) != steps.end();
}

calib::Store OpenStore(const recipes::Recipe& recipe, const recipes::Plan& plan,
                       const std::vector<Step>& steps) {
  const bool calibrated_before = !Has(steps, Step::kCalibrate) && !plan.observed_modules.empty();
  return calibrated_before ? calib::Store::OpenExisting(recipe.run_dir)
                           : calib::Store::Open(recipe.run_dir);
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

// Peak resident memory of this process so far, in bytes.
uint64_t PeakResidentBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace

Pipeline::Pipeline(checkpoint::SourceModel source, recipes::Recipe recipe, std::vector<Step> steps,
                   ProgressStyle progress)
    : source_(std::move(source)),
      recipe_(std::move(recipe)),
      steps_(std::move(steps)),
      plan_(recipes::MakePlan(source_, recipe_)),
      store_(OpenStore(recipe_, plan_, steps_)),
      progress_(progress, stderr, ForecastPhases(source_, recipe_, plan_, steps_)) {
  // Calibration checks it too, with the tokens that only it knows.
  if (!Has(steps_, Step::kCalibrate)) {
    store_.RequireIdentity(calib::PlanIdentity(source_, recipe_, plan_));
  }
}

bool Pipeline::Run() {
  if (Has(steps_, Step::kCalibrate) && !plan_.observed_modules.empty()) Calibrate();
  if (Has(steps_, Step::kExport)) Export();
  if (Has(steps_, Step::kValidate)) Validate();
  for (const auto& [phase, seconds] : progress_.PhaseSeconds()) {
    store_.AddPhaseSeconds(phase, seconds);
  }
  return !audit_ || audit_->Clean();
}

void Pipeline::Calibrate() {
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
  audit_ = RunAudit({.directory = recipe_.output, .source = recipe_.source}, progress_);
}

void Pipeline::PrintSummary() const {
  fmt::print("\n");
  if (calibration_) PrintCalibration();
  if (export_) PrintExport();
  if (audit_) PrintAudit();

  std::string times;
  for (const auto& [phase, seconds] : progress_.PhaseSeconds()) {
    times += fmt::format("{}{} {}", times.empty() ? "" : ", ", phase, HumanDuration(seconds));
  }
  fmt::print("time         {}\n", times);
  fmt::print("peak memory  {}\n", HumanBytes(PeakResidentBytes()));
  fmt::print("state        {}\n", store_.run_dir().string());
  if (!export_) return;
  fmt::print("output       {}\n", recipe_.output.string());
  fmt::print("check again  vernier validate {} --source {}\n", recipe_.output.string(),
             recipe_.source.string());
}

void Pipeline::PrintCalibration() const {
  fmt::print("calibration  {} samples, {} tokens through {} layers", calibration_->samples,
             HumanCount(static_cast<uint64_t>(calibration_->tokens)), calibration_->layers);
  if (calibration_->resumed_at_layer == calibration_->layers) {
    fmt::print(" (finished by an earlier run)");
  } else if (calibration_->resumed_at_layer > 0) {
    fmt::print(" (resumed at layer {})", calibration_->resumed_at_layer);
  }
  fmt::print("\n");
}

void Pipeline::PrintExport() const {
  const exporter::ExportSummary& done = *export_;
  fmt::print("tensors      {} in ({} carried, {} converted, {} dropped), {} out\n",
             HumanCount(source_.checkpoint.tensors().size()),
             HumanCount(static_cast<uint64_t>(done.carried_tensors)),
             HumanCount(static_cast<uint64_t>(done.converted_tensors)),
             HumanCount(static_cast<uint64_t>(done.dropped_tensors)),
             HumanCount(static_cast<uint64_t>(done.output_tensors)));
  fmt::print("bytes        {} in, {} out, {} shards ({} finished earlier)\n",
             HumanBytes(done.source_tensor_bytes), HumanBytes(done.output_tensor_bytes),
             done.shards_written + done.shards_reused, done.shards_reused);
  if (done.cast.blocks > 0 && done.output_tensor_bytes > done.source_tensor_bytes) {
    fmt::print(
        "             (NVFP4 has one scale per 16 values, MXFP4 one per 32: the result is "
        "larger, and faster to serve)\n");
  }
  if (done.cast.blocks > 0) {
    fmt::print("cast         {} MXFP4 blocks, {} re-encoded, {} inexact\n",
               HumanCount(static_cast<uint64_t>(done.cast.blocks)),
               HumanCount(static_cast<uint64_t>(done.cast.requantised)),
               HumanCount(static_cast<uint64_t>(done.cast.inexact)));
  }
  if (done.weighted_weights > 0) {
    fmt::print("importance   {} of {} searched weights have a vector\n", done.weighted_weights,
               done.searched_weights);
  }
  if (plan_.observed_modules.empty()) return;
  fmt::print("fallbacks    {} of {} scale groups saw no token\n", done.fallbacks.size(),
             plan_.scale_groups.size());
  for (size_t i = 0; i < std::min(kFallbacksShown, done.fallbacks.size()); ++i) {
    const exporter::FallbackScale& fallback = done.fallbacks[i];
    fmt::print("             {}: amax {:g} from its {}\n", fallback.group, fallback.amax,
               exporter::AmaxOriginName(fallback.from));
  }
  if (done.fallbacks.size() > kFallbacksShown) {
    fmt::print("             ... all are listed in vernier_manifest.json\n");
  }
}

void Pipeline::PrintAudit() const { fmt::print("{}", audit::ReportText(*audit_)); }

checkpoint::SourceModel OpenSource(const recipes::Recipe& recipe) {
  return recipes::ObservesInputs(recipe) ? checkpoint::OpenSourceModel(recipe.source)
                                         : checkpoint::OpenAnySourceModel(recipe.source);
}

void RunPipeline(checkpoint::SourceModel source, const recipes::Recipe& recipe,
                 const std::vector<Step>& steps, ProgressStyle progress) {
  Pipeline pipeline(std::move(source), recipe, steps, progress);
  const bool clean = pipeline.Run();
  pipeline.PrintSummary();
  if (clean) return;
  throw Error(ErrorCode::kAuditFailed, recipe.output.string(),
              "the audit above found errors in what was written",
              "Do not serve it; correct the recipe or the source and export again");
}

}  // namespace vernier::tools

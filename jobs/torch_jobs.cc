#include "jobs/torch_jobs.h"

#include <string>

#include "calib/calibrate.h"
#include "calib/device.h"
#include "calib/families/linear.h"
#include "calib/speed_probe.h"
#include "datasets/calibration_set.h"
#include "datasets/tokenizer.h"
#include "jobs/forward_job.h"
#include "run/loop_sizes.h"

namespace vernier::jobs {
namespace {

struct TokenizedData {
  datasets::CalibrationSet tokens;
  std::string tokenizer;  // fingerprint
};

// The tokenizer, tens of megabytes with a large vocabulary, ends here: no layer needs it.
TokenizedData Tokenize(const recipes::Recipe& recipe) {
  const datasets::Tokenizer tokenizer = datasets::Tokenizer::Load(recipe.source);
  return {.tokens = datasets::BuildCalibrationSet(recipe.calibration.data, tokenizer),
          .tokenizer = tokenizer.fingerprint()};
}

}  // namespace

calib::MachineMemory TorchJobs::ReadMemory(std::string_view device) const {
  return jobs::ReadMemory(device);
}

calib::ComputeSpeed TorchJobs::MeasureSpeed(const checkpoint::SourceModel& source,
                                            const recipes::Recipe& recipe) const {
  const calib::CpuProductsSetting products(calib::ResolveProducts(recipe.compute.cpu_products));
  const calib::ComputeSpec compute = calib::ComputeOf(recipe);
  calib::SetThreads(compute.threads);
  const calib::Workload workload = calib::WorkloadOf(recipe);
  const calib::CalibrationBudget budget =
      calib::PlanBudget(source, compute, workload, ReadMemory(compute.device));
  return calib::MeasureSpeed(source, compute, workload, budget);
}

CalibrationOutcome TorchJobs::Calibrate(const checkpoint::SourceModel& source,
                                        const recipes::Recipe& recipe, const recipes::Plan& plan,
                                        run::Store& store, Progress& progress) const {
  recipes::Recipe resolved = recipe;
  resolved.compute.cpu_products = calib::ResolveProducts(recipe.compute.cpu_products);
  const calib::CpuProductsSetting products(resolved.compute.cpu_products);
  const calib::ComputeSpec compute = calib::ComputeOf(resolved);
  calib::SetThreads(compute.threads);
  const calib::CalibrationBudget budget =
      calib::PlanBudget(source, compute, calib::WorkloadOf(recipe), ReadMemory(compute.device),
                        run::LoadLoopSizes(store));
  const TokenizedData data = Tokenize(recipe);
  const calib::CalibrationSummary summary = calib::Calibrate({.source = source,
                                                              .recipe = resolved,
                                                              .plan = plan,
                                                              .budget = budget,
                                                              .tokens = data.tokens,
                                                              .tokenizer = data.tokenizer},
                                                             store, progress);
  return {.layers = summary.layers,
          .resumed_at_layer = summary.resumed_at_layer,
          .samples = data.tokens.samples,
          .tokens = summary.tokens,
          .stages = summary.stages};
}

EvalSummary TorchJobs::Evaluate(const EvalSpec& spec, ProgressListener& listener) const {
  return jobs::Evaluate(spec, listener);
}

std::vector<GeneratedText> TorchJobs::Generate(const GenerateSpec& spec, const TextSeen& seen,
                                               ProgressListener& listener) const {
  return jobs::Generate(spec, seen, listener);
}

calib::LayerTestResult TorchJobs::TestLayer(const LayerTestSpec& spec,
                                            ProgressListener& listener) const {
  return jobs::TestLayer(spec, listener);
}

TraceSummary TorchJobs::Trace(const TraceSpec& spec, ProgressListener& listener) const {
  return jobs::Trace(spec, listener);
}

}  // namespace vernier::jobs

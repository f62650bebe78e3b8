#include "jobs/torch_jobs.h"

#include "calib/calibrate.h"
#include "calib/device.h"
#include "datasets/calibration_set.h"
#include "datasets/tokenizer.h"
#include "jobs/forward_job.h"
#include "run/loop_sizes.h"

namespace vernier::jobs {

recipes::MachineMemory TorchJobs::ReadMemory(const recipes::Recipe& recipe) const {
  return jobs::ReadMemory(recipe);
}

CalibrationOutcome TorchJobs::Calibrate(const checkpoint::SourceModel& source,
                                        const recipes::Recipe& recipe, const recipes::Plan& plan,
                                        run::Store& store, Progress& progress) const {
  calib::SetThreads(recipe.compute.threads);
  const recipes::CalibrationBudget budget =
      recipes::PlanBudget(source, recipe, ReadMemory(recipe), run::LoadLoopSizes(store));
  const datasets::Tokenizer tokenizer = datasets::Tokenizer::Load(recipe.source);
  const datasets::CalibrationSet tokens =
      datasets::BuildCalibrationSet(recipe.calibration.data, tokenizer);
  const calib::CalibrationSummary summary = calib::Calibrate({.source = source,
                                                              .recipe = recipe,
                                                              .plan = plan,
                                                              .budget = budget,
                                                              .tokens = tokens,
                                                              .tokenizer = tokenizer.fingerprint()},
                                                             store, progress);
  return {.layers = summary.layers,
          .resumed_at_layer = summary.resumed_at_layer,
          .samples = tokens.samples,
          .tokens = summary.tokens};
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

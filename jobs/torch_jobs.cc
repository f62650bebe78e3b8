#include "jobs/torch_jobs.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "base/text.h"
#include "calib/calibrate.h"
#include "calib/device.h"
#include "calib/device_memory.h"
#include "calib/families/linear.h"
#include "calib/speed_probe.h"
#include "calib/within_memory.h"
#include "datasets/calibration_set.h"
#include "datasets/tokenizer_or_error.h"
#include "jobs/forward_job.h"
#include "run/loop_sizes.h"

namespace vernier::jobs {
namespace {

struct TokenizedData {
  datasets::CalibrationSet tokens;
  std::string tokenizer;  // fingerprint; empty: ready ids without one
};

// The tokenizer, tens of megabytes with a large vocabulary, ends here: no layer needs it.
TokenizedData Tokenize(const checkpoint::SourceModel& source, const recipes::Recipe& recipe) {
  const auto tokenizer = datasets::TokenizerOrError::Load(recipe.source);
  TokenizedData data = {.tokens = datasets::BuildCalibrationSet(recipe.calibration.data, tokenizer),
                        .tokenizer = tokenizer.fingerprint()};
  RequireIds(data.tokens.ids, source.family->Dims().vocab_size);
  return data;
}

}  // namespace

calib::MachineMemory TorchJobs::ReadMemory(std::string_view device) const {
  return jobs::ReadMemory(device);
}

calib::ComputeSpeed TorchJobs::MeasureSpeed(const checkpoint::SourceModel& source,
                                            const recipes::Recipe& recipe,
                                            const recipes::Plan& plan) const {
  const calib::CpuProductsSetting products(calib::ResolveProducts(recipe.compute.cpu_products));
  const calib::ComputeSpec compute = calib::ComputeOf(recipe);
  calib::SetThreads(compute.threads);
  const calib::Workload workload = calib::WorkloadOf(recipe, source.layout, plan);
  const calib::CalibrationBudget budget =
      calib::PlanBudget(source, compute, workload, ReadMemory(compute.device));
  return calib::WithMemoryErrors(
      [&] { return calib::MeasureSpeed(source, compute, workload, budget); });
}

CalibrationOutcome TorchJobs::Calibrate(const checkpoint::SourceModel& source,
                                        const recipes::Recipe& recipe, const recipes::Plan& plan,
                                        run::Store& store, Progress& progress) const {
  recipes::Recipe resolved = recipe;
  resolved.compute.cpu_products = calib::ResolveProducts(recipe.compute.cpu_products);
  const calib::CpuProductsSetting products(resolved.compute.cpu_products);
  const calib::ComputeSpec compute = calib::ComputeOf(resolved);
  calib::SetThreads(compute.threads);
  const calib::Workload workload = calib::WorkloadOf(recipe, source.layout, plan);
  const auto plan_budget = [&](const calib::ComputeSpec& now) {
    return calib::PlanBudget(source, now, workload, ReadMemory(now.device),
                             run::LoadLoopSizes(store));
  };
  plan_budget(compute);  // refused before minutes of tokenising
  const TokenizedData data = Tokenize(source, recipe);
  // Where the command began: after memory ran out, the attempt that succeeds began later.
  CalibrationOutcome outcome = {.resumed_at_layer = store.LastLayer().value_or(-1) + 1,
                                .samples = data.tokens.samples};
  const auto run = [&](const calib::CalibrationBudget& budget) {
    if (compute.device != "cpu") outcome.device_limit = budget.device_limit;
    return calib::Calibrate({.source = source,
                             .recipe = resolved,
                             .plan = plan,
                             .budget = budget,
                             .tokens = data.tokens,
                             .tokenizer = data.tokenizer},
                            store, progress);
  };
  const auto ran_out = [&](const calib::CalibrationBudget& failed, uint64_t next) {
    ++outcome.ran_out;
    store.LogEvent("out of memory",
                   fmt::format("{} did not have {}; going on within {}", compute.device,
                               HumanBytes(failed.device_limit), HumanBytes(next)));
  };
  const calib::CalibrationSummary summary =
      calib::CalibrateWithin(compute, {.plan = plan_budget, .run = run, .ran_out = ran_out});
  outcome.layers = summary.layers;
  outcome.tokens = summary.tokens;
  outcome.stages = summary.stages;
  outcome.device_peak = calib::PeakMemory(calib::ParseDevice(compute.device));
  return outcome;
}

EvalSummary TorchJobs::Evaluate(const EvalSpec& spec, ProgressListener& listener) const {
  return calib::WithMemoryErrors([&] { return jobs::Evaluate(spec, listener); });
}

std::vector<GeneratedText> TorchJobs::Generate(const GenerateSpec& spec, const TextSeen& seen,
                                               ProgressListener& listener) const {
  return calib::WithMemoryErrors([&] { return jobs::Generate(spec, seen, listener); });
}

calib::LayerTestResult TorchJobs::TestLayer(const LayerTestSpec& spec,
                                            ProgressListener& listener) const {
  return calib::WithMemoryErrors([&] { return jobs::TestLayer(spec, listener); });
}

TraceSummary TorchJobs::Trace(const TraceSpec& spec, ProgressListener& listener) const {
  return calib::WithMemoryErrors([&] { return jobs::Trace(spec, listener); });
}

}  // namespace vernier::jobs

#include "tools/torch_steps.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "calib/blas_core.h"
#include "calib/calibrate.h"
#include "calib/device.h"
#include "calib/layertest/layer_test.h"
#include "calib/trace.h"
#include "datasets/calibration_set.h"
#include "datasets/tokenizer.h"
#include "run/loop_sizes.h"
#include "tools/scratch_directory.h"

namespace vernier::tools {
namespace {

// The recipe's calibration and compute sections with the overrides, or the defaults with them.
recipes::Recipe MakeLayerTestRecipe(const LayerTestOptions& options) {
  recipes::Recipe recipe;
  // Nothing is read or written there, but overrides are refused where these are one.
  recipe.source = "source";
  recipe.output = "output";
  recipe.run_dir = "run";
  if (!options.recipe.empty()) recipe = recipes::LoadRecipe(options.recipe);
  recipes::ApplyOverrides(options.overrides, recipe);
  if (!options.dtype.empty()) recipe.calibration.dtype = ToComputeDtype(options.dtype);
  return recipe;
}

datasets::CalibrationSet ReadLayerTestTokens(const LayerTestOptions& options,
                                             const checkpoint::SourceModel& source,
                                             const recipes::Recipe& recipe) {
  if (!options.recipe.empty()) {
    return datasets::BuildCalibrationSet(recipe.calibration.data,
                                         datasets::Tokenizer::Load(options.source));
  }
  datasets::CalibrationSet tokens =
      calib::ReadTokenIds(options.input_ids, source.family->Dims().vocab_size);
  if (options.overrides.samples) datasets::KeepSamples(*options.overrides.samples, tokens);
  return tokens;
}

void PrintPerplexity(const calib::Likelihood& likelihood, int64_t windows) {
  fmt::print("perplexity {:.6f}  ({} windows, {} predicted tokens)\n", likelihood.perplexity.value,
             windows, likelihood.tokens);
}

}  // namespace

void RequireTorch(char** argv) {
  const std::optional<std::string> core = calib::BetterBlasCore();
  if (!core) return;
  setenv(calib::kBlasCoreVariable, core->c_str(), /*overwrite=*/0);
  execv("/proc/self/exe", argv);
  // Without a restart everything works, only slower.
}

recipes::MachineMemory ReadMachineMemory(const recipes::Recipe& recipe) {
  return calib::ReadMachineMemory(calib::ParseDevice(recipe.compute.device));
}

CalibrationOutcome RunCalibration(const checkpoint::SourceModel& source,
                                  const recipes::Recipe& recipe, const recipes::Plan& plan,
                                  run::Store& store, Progress& progress) {
  calib::SetThreads(recipe.compute.threads);
  const recipes::CalibrationBudget budget =
      recipes::PlanBudget(source, recipe, ReadMachineMemory(recipe), run::LoadLoopSizes(store));
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

void RunTrace(const TraceOptions& options, ProgressStyle style) {
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(options.source);
  const datasets::CalibrationSet tokens =
      calib::ReadTokenIds(options.input_ids, source.family->Dims().vocab_size);
  const recipes::Recipe recipe =
      ForwardRecipe(options.forward, options.source, tokens.samples, tokens.sequence_length);
  calib::SetThreads(options.forward.threads);
  const recipes::CalibrationBudget budget =
      recipes::PlanBudget(source, recipe, ReadMachineMemory(recipe));
  const ScratchDirectory scratch;
  const calib::TraceRequest request = {.source = source,
                                       .recipe = recipe,
                                       .budget = budget,
                                       .tokens = tokens,
                                       .scratch_directory = scratch.path(),
                                       .quantize_activations = options.quantize_activations};
  Progress progress(style, stderr, {{"trace", 1.0}});
  if (options.perplexity) {
    return PrintPerplexity(calib::MeasureLikelihood(request, progress), tokens.samples);
  }
  calib::WriteTrace(request, options.out, progress);
}

calib::LayerTestResult RunLayerTest(const LayerTestOptions& options, ProgressStyle style) {
  recipes::Recipe recipe = MakeLayerTestRecipe(options);
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(options.source);
  const checkpoint::SourceModel quantized = checkpoint::OpenSourceModel(options.quantized);
  calib::RequireSameLayer(source, quantized, options.layer);
  const datasets::CalibrationSet tokens = ReadLayerTestTokens(options, source, recipe);
  recipe.calibration.data.samples = tokens.samples;
  recipe.calibration.data.sequence_length = tokens.sequence_length;
  calib::SetThreads(recipe.compute.threads);
  const recipes::CalibrationBudget budget =
      calib::PlanLayerTest(source, recipe, ReadMachineMemory(recipe));
  const ScratchDirectory scratch;
  Progress progress(style, stderr, calib::LayerTestPhases(options.layer));
  return calib::RunLayerTest({.source = source,
                              .quantized = quantized,
                              .layer = options.layer,
                              .recipe = recipe,
                              .budget = budget,
                              .tokens = tokens,
                              .scratch_directory = scratch.path()},
                             progress);
}

}  // namespace vernier::tools

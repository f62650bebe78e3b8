#include "jobs/layertest.h"

#include "calib/budget/budget.h"
#include "calib/device.h"
#include "calib/layertest/layer_test.h"
#include "calib/trace.h"
#include "checkpoint/source_model.h"
#include "datasets/calibration_set.h"
#include "datasets/tokenizer_or_error.h"
#include "jobs/forward_job.h"
#include "jobs/forward_spec.h"
#include "jobs/scratch_directory.h"

namespace vernier::jobs {
namespace {

// The recipe's calibration and compute sections with the overrides, or the defaults with them.
recipes::Recipe MakeLayerTestRecipe(const LayerTestSpec& spec) {
  if (!spec.recipe.empty()) return recipes::LoadRecipe(spec.recipe, spec.overrides);
  recipes::Recipe recipe;
  recipes::ApplyOverrides(spec.overrides, recipe);
  return recipe;
}

datasets::CalibrationSet ReadLayerTestTokens(const LayerTestSpec& spec,
                                             const checkpoint::SourceModel& source,
                                             const recipes::Recipe& recipe) {
  if (!spec.recipe.empty()) {
    return datasets::BuildCalibrationSet(recipe.calibration.data,
                                         datasets::TokenizerOrError::Load(spec.source));
  }
  datasets::CalibrationSet tokens =
      calib::ReadTokenIds(spec.input_ids, source.family->Dims().vocab_size);
  if (recipes::FindOverride(spec.overrides, "/calibration/samples") != nullptr) {
    datasets::KeepSamples(recipe.calibration.data.samples, tokens);
  }
  return tokens;
}

}  // namespace

calib::LayerTestResult TestLayer(const LayerTestSpec& spec, ProgressListener& listener) {
  CheckLayerTestSpec(spec);
  const recipes::Recipe recipe = MakeLayerTestRecipe(spec);
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(spec.source);
  const checkpoint::SourceModel quantized = checkpoint::OpenSourceModel(spec.quantized);
  calib::RequireSameLayer(source, quantized, spec.layer);
  const datasets::CalibrationSet tokens = ReadLayerTestTokens(spec, source, recipe);
  const calib::ComputeSpec compute = calib::ComputeOf(recipe);
  calib::SetThreads(compute.threads);
  const calib::CalibrationBudget budget = calib::PlanBudget(
      source, compute, calib::LayerTestWorkload(tokens.samples, tokens.sequence_length),
      ReadMemory(compute.device));
  const ScratchDirectory scratch;
  Progress progress(listener, calib::LayerTestPhases(spec.layer));
  return calib::RunLayerTest({.source = source,
                              .quantized = quantized,
                              .layer = spec.layer,
                              .compute = compute,
                              .budget = budget,
                              .tokens = tokens,
                              .scratch_directory = scratch.path(),
                              .expert_input_scale = spec.expert_input_scale},
                             progress);
}

}  // namespace vernier::jobs

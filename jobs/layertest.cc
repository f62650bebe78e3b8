#include "jobs/layertest.h"

#include "calib/device.h"
#include "calib/layertest/layer_test.h"
#include "calib/trace.h"
#include "checkpoint/source_model.h"
#include "datasets/calibration_set.h"
#include "datasets/tokenizer.h"
#include "jobs/forward_job.h"
#include "jobs/forward_spec.h"
#include "jobs/scratch_directory.h"
#include "recipes/budget.h"

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
                                         datasets::Tokenizer::Load(spec.source));
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
  recipes::Recipe recipe = MakeLayerTestRecipe(spec);
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(spec.source);
  const checkpoint::SourceModel quantized = checkpoint::OpenSourceModel(spec.quantized);
  calib::RequireSameLayer(source, quantized, spec.layer);
  const datasets::CalibrationSet tokens = ReadLayerTestTokens(spec, source, recipe);
  recipe.calibration.data.samples = tokens.samples;
  recipe.calibration.data.sequence_length = tokens.sequence_length;
  calib::SetThreads(recipe.compute.threads);
  const recipes::CalibrationBudget budget =
      calib::PlanLayerTest(source, recipe, ReadMemory(recipe));
  const ScratchDirectory scratch;
  Progress progress(listener, calib::LayerTestPhases(spec.layer));
  return calib::RunLayerTest({.source = source,
                              .quantized = quantized,
                              .layer = spec.layer,
                              .recipe = recipe,
                              .budget = budget,
                              .tokens = tokens,
                              .scratch_directory = scratch.path()},
                             progress);
}

}  // namespace vernier::jobs

// One decoder layer of two checkpoints on the same calibration activations, compared stage by
// stage.
#ifndef VERNIER_CALIB_LAYERTEST_LAYER_TEST_H_
#define VERNIER_CALIB_LAYERTEST_LAYER_TEST_H_

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/progress.h"
#include "calib/activation_format.h"
#include "calib/budget/budget.h"
#include "calib/budget/workload.h"
#include "calib/layertest/result.h"
#include "checkpoint/source_model.h"
#include "datasets/calibration_set.h"

namespace vernier::calib {

struct LayerTestRequest {
  const checkpoint::SourceModel& source;
  const checkpoint::SourceModel& quantized;
  int64_t layer = 0;
  const ComputeSpec& compute;
  const CalibrationBudget& budget;
  const datasets::CalibrationSet& tokens;
  std::filesystem::path scratch_directory;  // for spilled buffers; nobody else uses it
  ExpertInputScale expert_input_scale = ExpertInputScale::kLargest;
};

// Whether `quantized` has layer `layer` of the same model: kBadArgument for a layer out of range
// and for another model_type or other sizes, kMissingTensor and kWrongShape for a weight of that
// layer. Reads headers only.
void RequireSameLayer(const checkpoint::SourceModel& source,
                      const checkpoint::SourceModel& quantized, int64_t layer);

// The workload of a layer test of these sequences: weights of both checkpoints and three copies of
// the hidden states are held beside what calibration holds, so a loop gets a part of the memory.
Workload LayerTestWorkload(int64_t samples, int64_t sequence_length);

// The job's phases: "forward" (the source's layers before) and "compare".
std::vector<PhaseForecast> LayerTestPhases(int64_t layer);

// Runs the source's layers before `request.layer`, and then that layer of the source once, of the
// quantised checkpoint's weights, quantised inputs, and both, twice each: from the source's hidden
// states before the layer, and from those behind attention. Memory is that of `request.budget`,
// whatever the model's depth. Errors: RequireSameLayer's and those of LayerLoop.
LayerTestResult RunLayerTest(const LayerTestRequest& request, Progress& progress);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_LAYERTEST_LAYER_TEST_H_

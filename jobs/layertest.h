// One layer of a source and of a checkpoint quantised from it on the same activations.
#ifndef VERNIER_JOBS_LAYERTEST_H_
#define VERNIER_JOBS_LAYERTEST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/progress.h"
#include "calib/activation_format.h"
#include "calib/layertest/result.h"
#include "recipes/recipe.h"

namespace vernier::jobs {

struct LayerTestSpec {
  std::string source, quantized;
  int64_t layer = 0;
  std::string recipe;            // its calibration data and compute section; or
  std::string input_ids;         // token ids as for a trace
  recipes::Overrides overrides;  // of its, or the defaults': calibration's, compute's
  calib::ExpertInputScale expert_input_scale = calib::ExpertInputScale::kLargest;
};

// kBadArgument unless there is either a recipe or ready ids.
void CheckLayerTestSpec(const LayerTestSpec& spec);

// In the library that links libtorch. Progress phases "forward" and "compare". kBadArgument for a
// layer or a checkpoint that does not fit (calib::RequireSameLayer), before anything runs.
calib::LayerTestResult TestLayer(const LayerTestSpec& spec, ProgressListener& listener);

// The object that docs/layertest.md describes.
Json LayerTestJson(const calib::LayerTestResult& result);

// Linear layers whose quantised activations Vernier does not emulate.
std::vector<std::string> NotEmulated(const calib::LayerTestResult& result);

// What makes the larger error of the layer's output; nothing when neither makes one, or only
// weights are quantised.
std::optional<std::string> Dominant(const calib::StageErrors& output);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_LAYERTEST_H_

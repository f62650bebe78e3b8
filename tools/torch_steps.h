// The steps that need libtorch. Loading libtorch takes half a second and 150 MB, so `vernier`
// itself does without (torch_steps_elsewhere.cc) and hands the commands that run a model over to
// the program `vernier-torch` beside it (torch_steps.cc), which is the same command linked with
// libtorch.
#ifndef VERNIER_TOOLS_TORCH_STEPS_H_
#define VERNIER_TOOLS_TORCH_STEPS_H_

#include <cstdint>
#include <string>

#include "base/progress.h"
#include "calib/layertest/result.h"
#include "checkpoint/source_model.h"
#include "recipes/budget.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "run/store.h"
#include "tools/forward_options.h"

namespace vernier::tools {

// To be called first by a subcommand that calls any of the functions below. Goes on in
// vernier-torch with the same arguments (kNoTorch when there is none). In vernier-torch: starts
// anew, once, when libtorch's BLAS must be told of better kernels before it loads
// (calib/blas_core.h).
void RequireTorch(char** argv);

// Free memory of the host and of the recipe's device (kBadDevice).
recipes::MachineMemory ReadMachineMemory(const recipes::Recipe& recipe);

struct CalibrationOutcome {
  int64_t layers = 0;
  int64_t resumed_at_layer = 0;
  int64_t samples = 0;
  int64_t tokens = 0;  // real tokens, the same in every layer
};

// Tokenises the recipe's data and runs every layer that the store lacks. Progress phase
// "calibrate".
CalibrationOutcome RunCalibration(const checkpoint::SourceModel& source,
                                  const recipes::Recipe& recipe, const recipes::Plan& plan,
                                  run::Store& store, Progress& progress);

struct TraceOptions {
  std::string source;
  std::string input_ids;
  std::string out;  // empty with `perplexity`
  bool perplexity = false;
  bool quantize_activations = false;  // as engines do
  ForwardOptions forward = {.dtype = "float32"};
};
void RunTrace(const TraceOptions& options, ProgressStyle style);

struct LayerTestOptions {
  std::string source, quantized;
  int64_t layer = 0;
  std::string recipe;            // its calibration data and compute section; or
  std::string input_ids;         // token ids as for RunTrace
  recipes::Overrides overrides;  // samples, batch_size, device, its and the host's memory, threads
  std::string dtype;             // "float32" or "bfloat16"; empty: the recipe's, or bfloat16
};
// Progress phases "forward" and "compare". kBadArgument for a layer or a checkpoint that does not
// fit (calib::RequireSameLayer), before anything runs.
calib::LayerTestResult RunLayerTest(const LayerTestOptions& options, ProgressStyle style);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_TORCH_STEPS_H_

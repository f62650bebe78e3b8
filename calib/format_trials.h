// What formats cost linear layers, measured as calibration passes them.
#ifndef VERNIER_CALIB_FORMAT_TRIALS_H_
#define VERNIER_CALIB_FORMAT_TRIALS_H_

#include <ATen/ATen.h>

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "calib/layer_state.h"
#include "calib/recorder.h"
#include "checkpoint/source_model.h"
#include "checkpoint/weight_reader.h"
#include "recipes/fold_scales.h"
#include "recipes/format_choice.h"
#include "recipes/plan.h"

namespace vernier::calib {

// What is known of a linear layer's inputs and of its weight, as a fold leaves both.
struct TrialInputs {
  at::Tensor sample;  // [R, K] F32, on any device: some of the inputs
  float amax = 0;     // of all inputs, with the headroom that their scale has
  at::Tensor weight;  // [n, K] F32, on the CPU: some rows
};

// Mean squares of an element of the output, and of its error with weights and inputs in a format
// (nvfp4: scales of weights by weighted squared errors; fp8: one scale for each).
struct TrialErrors {
  double energy = 0, nvfp4 = 0, fp8 = 0;
};
TrialErrors TryFormats(const TrialInputs& inputs);

// Tries formats on the weights that a plan marks, a layer at a time. Not thread-safe.
class FormatTrials {
 public:
  // `source`, `plan` and `folds` must outlive it; the folds of a layer's weights are in `folds`
  // when they are tried. `headroom` is the recipe's, `read` how weights are read.
  FormatTrials(const checkpoint::SourceModel& source, const recipes::Plan& plan,
               const recipes::FoldScales& folds, double headroom, checkpoint::ReadOptions read);

  // `known`: what was measured of the layer and saved before.
  void BeginLayer(int layer, std::span<const recipes::FormatError> known);
  // Whether a sample of the module's inputs is of use.
  bool NeedsInputsOf(std::string_view module) const { return needed_.contains(module); }
  bool HasWork() const { return !waiting_.empty(); }

  // Tries the weights all of whose inputs `recorder` has seen. Returns their modules.
  std::vector<std::string> Solve(const LayerState& state, Recorder& recorder);

  // What was measured since this was called last.
  std::vector<recipes::FormatError> TakeMeasured();

 private:
  void Try(size_t weight, Recorder& recorder);
  TrialInputs InputsOf(size_t weight, Recorder& recorder) const;
  const std::string& ModuleOf(size_t weight) const { return source_.layout.weights[weight].module; }

  const checkpoint::SourceModel& source_;
  const recipes::Plan& plan_;
  const recipes::FoldScales& folds_;
  double headroom_;
  checkpoint::WeightReader reader_;
  std::map<int, std::vector<size_t>> by_layer_;  // indices of weights
  std::vector<size_t> waiting_;                  // of this layer
  std::set<std::string, std::less<>> needed_;
  std::vector<recipes::FormatError> unsaved_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FORMAT_TRIALS_H_

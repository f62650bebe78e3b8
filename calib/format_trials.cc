#include "calib/format_trials.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "calib/encoded_weight.h"
#include "calib/families/linear.h"
#include "calib/inputs_seen.h"
#include "calib/nvfp4_trial.h"
#include "calib/round_trip.h"
#include "calib/sampled_rows.h"
#include "calib/statistics/input_amax.h"
#include "calib/statistics/input_channel_amax.h"
#include "calib/statistics/input_sample.h"
#include "quantizers/fp8.h"
#include "quantizers/nvfp4.h"

namespace vernier::calib {
namespace {

using recipes::FormatError;
namespace formats = checkpoint::formats;
using statistics::InputAmax;
using statistics::InputChannelAmax;
using statistics::InputSample;

double MeanSquare(const at::Tensor& x) {
  return SumOfSquares(x) / static_cast<double>(std::max<int64_t>(1, x.numel()));
}

at::Tensor RoundTripFp8By(const at::Tensor& x, float amax) {
  return RoundTripFp8(x, quantizers::Fp8Scale(amax));
}

}  // namespace

TrialErrors TryFormats(const TrialInputs& inputs) {
  const at::Tensor& x = inputs.sample;
  const at::Tensor& weight = inputs.weight;
  const at::Tensor squares = x.square().mean(0).to(at::kDouble).cpu();
  const std::vector<double> mean_squares(squares.data_ptr<double>(),
                                         squares.data_ptr<double>() + squares.numel());
  const at::Tensor on_device = weight.to(x.device());
  const at::Tensor outputs = LinearF32(x, on_device);
  const auto error_of = [&](const at::Tensor& rounded_x, const at::Tensor& rounded_weight) {
    return MeanSquare(LinearF32(rounded_x, rounded_weight) - outputs);
  };
  return {.energy = MeanSquare(outputs),
          .nvfp4 = error_of(RoundTripNvfp4(x, quantizers::Nvfp4GlobalScale(inputs.amax)),
                            RoundTripWeight(on_device, mean_squares)),
          .fp8 = error_of(RoundTripFp8By(x, inputs.amax),
                          RoundTripFp8By(on_device, AmaxOf(on_device)))};
}

FormatTrials::FormatTrials(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                           const recipes::FoldScales& folds, double headroom,
                           checkpoint::ReadOptions read)
    : source_(source),
      plan_(plan),
      folds_(folds),
      headroom_(headroom),
      reader_(source.checkpoint, read) {
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    if (plan.weights[i].tried) by_layer_[source.layout.weights[i].layer].push_back(i);
  }
}

void FormatTrials::BeginLayer(int layer, std::span<const FormatError> known) {
  needed_.clear();
  unsaved_.clear();
  waiting_.clear();
  for (const size_t weight : by_layer_[layer]) {
    const auto found = std::ranges::find(known, ModuleOf(weight), &FormatError::module);
    if (found != known.end()) continue;
    waiting_.push_back(weight);
    needed_.insert(ModuleOf(weight));
  }
}

std::vector<std::string> FormatTrials::Solve(const LayerState& state, Recorder& recorder) {
  const c10::InferenceMode inference;
  std::vector<std::string> seen;
  std::erase_if(waiting_, [&](size_t weight) {
    if (!AllInputsSeen(source_.layout.weights[weight], state)) return false;
    Try(weight, recorder);
    seen.push_back(ModuleOf(weight));
    needed_.erase(seen.back());
    return true;
  });
  return seen;
}

void FormatTrials::Try(size_t weight, Recorder& recorder) {
  FormatError error{.module = ModuleOf(weight)};
  const auto sample = recorder.Look(error.module, InputSample::kName);
  error.tokens = sample ? sample->rows : 0;
  TrialErrors errors;
  if (InputSample::CountOf(error.tokens) > 0) errors = TryFormats(InputsOf(weight, recorder));
  // Beyond any number is as bad as can be.
  if (!std::isfinite(errors.energy + errors.nvfp4 + errors.fp8)) errors = {1, 1, 1};
  error.energy = errors.energy;
  using Found = std::pair<checkpoint::Format, double>;
  for (const auto& [format, found] :
       {Found(formats::kNvfp4, errors.nvfp4), Found(formats::kFp8Tensor, errors.fp8)}) {
    error.format = format;
    error.error = found;
    unsaved_.push_back(error);
  }
}

TrialInputs FormatTrials::InputsOf(size_t weight, Recorder& recorder) const {
  const std::string& module = ModuleOf(weight);
  const auto sample = recorder.Look(module, InputSample::kName);
  const int64_t columns = source_.layout.weights[weight].columns();
  TrialInputs inputs{.sample = sample->elements.view({InputSample::kRows, columns})
                                   .slice(0, 0, InputSample::CountOf(sample->rows)),
                     .weight = SampleWeightRows(source_, reader_, weight).to(at::kFloat)};
  const std::vector<float> factors = recipes::RescalingOf(plan_, folds_, weight).column_factors;
  at::Tensor amax =
      recorder.Look(module, factors.empty() ? InputAmax::kName : InputChannelAmax::kName)
          ->elements.to(at::kFloat)
          .cpu();
  if (!factors.empty()) {
    const at::Tensor columns_by = at::tensor(factors);
    inputs.sample = inputs.sample / columns_by.to(inputs.sample.device());
    inputs.weight = inputs.weight * columns_by;
    amax = amax / columns_by;
  }
  inputs.amax = static_cast<float>(headroom_ * amax.max().item<double>());
  return inputs;
}

std::vector<FormatError> FormatTrials::TakeMeasured() { return std::exchange(unsaved_, {}); }

}  // namespace vernier::calib

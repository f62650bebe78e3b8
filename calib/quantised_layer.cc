#include "calib/quantised_layer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "calib/encoded_weight.h"
#include "calib/round_trip.h"
#include "calib/statistics/input_amax.h"
#include "calib/statistics/input_channel_amax.h"
#include "quantizers/nvfp4.h"

namespace vernier::calib {
namespace {

using checkpoint::LogicalWeight;
using statistics::InputAmax;
using statistics::InputChannelAmax;

// The values of codes and scales, in that order.
at::Tensor ValuesOf(const LogicalWeight& weight, float global_scale,
                    std::span<const std::byte> bytes) {
  const auto values = static_cast<size_t>(weight.rows() * weight.columns());
  const std::span all(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  const auto codes = all.first(values / 2), scales = all.subspan(values / 2);
  const EncodedWeight encoded{{codes.begin(), codes.end()}, {scales.begin(), scales.end()}};
  return Decode(encoded, weight.columns(), global_scale);
}

}  // namespace

QuantisedWeights::QuantisedWeights(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                                   const recipes::FoldScales& folds, const WeightSolver& solver,
                                   const run::Store& store, int layer, checkpoint::ReadOptions read)
    : source_(source),
      plan_(plan),
      folds_(folds),
      solver_(solver),
      store_(store),
      reader_(source.checkpoint, read) {
  for (run::SolvedKey& key : run::SolvedWeightsOfUnit(store.database(), layer)) {
    if (key.place.length > 0) saved_.emplace(key.weight.module, std::move(key));
  }
}

std::optional<at::Tensor> QuantisedWeights::Of(const LogicalWeight& weight) const {
  if (std::optional<at::Tensor> values = Solved(weight)) return values;
  const auto index = static_cast<size_t>(&weight - source_.layout.weights.data());
  const checkpoint::Rescaling rescaling = recipes::RescalingOf(plan_, folds_, index);
  if (rescaling.empty()) return std::nullopt;
  return ReadWeightRows(source_, reader_, weight, rescaling, 0, weight.rows()).view(weight.shape);
}

std::optional<at::Tensor> QuantisedWeights::Solved(const LogicalWeight& weight) const {
  if (const run::SolvedWeight* solved = solver_.Unsaved(weight.module)) {
    if (solved->bytes.empty()) return std::nullopt;
    return ValuesOf(weight, solved->global_scale, solved->bytes);
  }
  const auto saved = saved_.find(weight.module);
  if (saved == saved_.end()) return std::nullopt;
  return ValuesOf(weight, saved->second.weight.global_scale,
                  run::ReadSolvedWeight(store_, saved->second));
}

at::Tensor QuantisedInputs::Replace(std::string_view module, const at::Tensor& x) {
  auto found = scales_.find(module);
  if (found == scales_.end()) found = scales_.emplace(module, ScaleOf(module)).first;
  return found->second ? RoundTripNvfp4(x, *found->second) : x;
}

// As the export has it of an input that was seen.
std::optional<float> QuantisedInputs::ScaleOf(std::string_view module) {
  const auto index = source_.layout.by_module.find(std::string(module));
  if (index == source_.layout.by_module.end()) return std::nullopt;
  if (plan_.weights[index->second].format != recipes::TargetFormat::kNvfp4) return std::nullopt;
  const std::vector<float> factors =
      recipes::RescalingOf(plan_, folds_, index->second).column_factors;
  const auto seen =
      recorder_.Look(module, factors.empty() ? InputAmax::kName : InputChannelAmax::kName);
  if (!seen) return std::nullopt;
  at::Tensor amax = seen->elements.to(at::kFloat).cpu();
  if (!factors.empty()) amax = amax / at::tensor(factors);
  const double most = std::numeric_limits<float>::max();
  const double with_room = std::min(headroom_ * double{amax.max().item<float>()}, most);
  if (with_room == 0) return std::nullopt;
  return quantizers::Nvfp4GlobalScale(static_cast<float>(with_room));
}

}  // namespace vernier::calib

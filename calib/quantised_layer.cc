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
  auto* begin = const_cast<std::byte*>(bytes.data());  // from_blob takes no other; nobody writes
  const int64_t rows = weight.rows(), columns = weight.columns();
  const at::Tensor codes = at::from_blob(begin, {rows, columns / 2}, at::kByte);
  const at::Tensor scales = at::from_blob(begin + codes.nbytes(),
                                          {rows, columns / quantizers::kNvfp4BlockSize}, at::kByte);
  return Decode({codes, scales}, global_scale);
}

}  // namespace

QuantisedWeights::QuantisedWeights(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                                   const recipes::FoldScales& folds, SolvedSpool& spool,
                                   const run::Store& store, int layer, checkpoint::ReadOptions read)
    : source_(source),
      plan_(plan),
      folds_(folds),
      store_(store),
      reader_(source.checkpoint, read),
      saved_(run::SolvedWeightsOfUnit(store.database(), layer)) {
  for (const run::SolvedWeight& weight : saved_) solved_.emplace(weight.module, &weight);
  for (const run::SolvedWeight* weight : spool.All()) solved_.emplace(weight->module, weight);
}

std::optional<at::Tensor> QuantisedWeights::Of(const LogicalWeight& weight) const {
  if (std::optional<at::Tensor> values = Solved(weight)) return values;
  const auto index = static_cast<size_t>(&weight - source_.layout.weights.data());
  const checkpoint::Rescaling rescaling = recipes::RescalingOf(plan_, folds_, index);
  if (rescaling.empty()) return std::nullopt;
  return ReadWeightRows(source_, reader_, weight, rescaling, 0, weight.rows()).view(weight.shape);
}

std::optional<at::Tensor> QuantisedWeights::Solved(const LogicalWeight& weight) const {
  const auto found = solved_.find(weight.module);
  if (found == solved_.end() || !found->second->HasBytes()) return std::nullopt;
  const run::SolvedWeight& solved = *found->second;
  return ValuesOf(weight, solved.global_scale, run::ReadSolvedWeight(store_.run_dir(), solved));
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

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

// The values of codes and scales, in that order, on `device`.
at::Tensor ValuesOf(const LogicalWeight& weight, float global_scale,
                    std::span<const std::byte> bytes, at::Device device) {
  auto* begin = const_cast<std::byte*>(bytes.data());  // from_blob takes no other; nobody writes
  const int64_t rows = weight.rows(), columns = weight.columns();
  const at::Tensor codes = at::from_blob(begin, {rows, columns / 2}, at::kByte);
  const at::Tensor scales = at::from_blob(begin + codes.nbytes(),
                                          {rows, columns / quantizers::kNvfp4BlockSize}, at::kByte);
  return Decode({codes, scales}, global_scale, device);
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

bool QuantisedWeights::Has(const LogicalWeight& weight) const {
  return Solved(weight) != nullptr || !RescalingOf(weight).empty();
}

void QuantisedWeights::Expect(const std::vector<const LogicalWeight*>& weights) {
  std::erase_if(reading_, [&](const auto& of) {
    return std::ranges::find(weights, of.first) == weights.end();
  });
  upcoming_.clear();
  for (const LogicalWeight* weight : weights) {
    if (Solved(*weight) != nullptr && !reading_.contains(weight)) upcoming_.push_back(weight);
  }
  ReadAhead();
}

at::Tensor QuantisedWeights::Of(const LogicalWeight& weight, at::Device device) {
  if (const run::SolvedWeight* solved = Solved(weight)) {
    return ValuesOf(weight, solved->global_scale, Read(weight), device).view(weight.shape);
  }
  return ReadWeightRows(source_, reader_, weight, RescalingOf(weight), 0, weight.rows())
      .to(device)
      .view(weight.shape);
}

const run::SolvedWeight* QuantisedWeights::Solved(const LogicalWeight& weight) const {
  const auto found = solved_.find(weight.module);
  return found != solved_.end() && found->second->HasBytes() ? found->second : nullptr;
}

checkpoint::Rescaling QuantisedWeights::RescalingOf(const LogicalWeight& weight) const {
  const auto index = static_cast<size_t>(&weight - source_.layout.weights.data());
  return recipes::RescalingOf(plan_, folds_, index);
}

std::vector<std::byte> QuantisedWeights::Read(const LogicalWeight& weight) {
  const auto found = reading_.find(&weight);
  if (found == reading_.end()) return run::ReadSolvedWeight(store_.run_dir(), *Solved(weight));
  std::future<std::vector<std::byte>> read = std::move(found->second);
  reading_.erase(found);
  ReadAhead();
  return read.get();
}

// Some files at once, which more than feeds a device.
void QuantisedWeights::ReadAhead() {
  constexpr size_t kAtOnce = 8;
  while (reading_.size() < kAtOnce && !upcoming_.empty()) {
    const LogicalWeight* weight = upcoming_.front();
    upcoming_.pop_front();
    reading_.emplace(weight, std::async(std::launch::async, [this, weight] {
                       return run::ReadSolvedWeight(store_.run_dir(), *Solved(*weight));
                     }));
  }
}

at::Tensor QuantisedInputs::Replace(std::string_view module, const at::Tensor& x) {
  auto found = scales_.find(module);
  if (found == scales_.end()) found = scales_.emplace(module, ScaleOf(module)).first;
  return found->second ? RoundTripNvfp4(x, *found->second) : x;
}

// As the export has it of an input that was seen.
std::optional<float> QuantisedInputs::ScaleOf(std::string_view module) {
  const auto index = source_.layout.by_module.find(module);
  if (index == source_.layout.by_module.end()) return std::nullopt;
  const recipes::WeightPlan& weight = plan_.weights[index->second];
  if (weight.format != checkpoint::formats::kNvfp4 || !weight.HasInputScale()) return std::nullopt;
  if (!weight.HasCalibratedInputs()) return weight.input_scales.constant;
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

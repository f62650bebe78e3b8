#include "calib/requantised_weights.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "calib/activation_format.h"
#include "calib/encoded_weight.h"
#include "calib/round_trip.h"

namespace vernier::calib {
namespace {

using checkpoint::LogicalWeight;

struct Part {
  const LogicalWeight* weight;
  float scale;
};

// The parts of fused matrices that have an FP8 scale each.
std::map<std::string_view, std::vector<Part>> FusedParts(const checkpoint::SourceModel& model) {
  std::map<std::string_view, std::vector<Part>> parts;
  for (const LogicalWeight& weight : model.layout.weights) {
    const bool is_part = weight.format == checkpoint::formats::kFp8Tensor &&
                         !weight.fused_group.empty() && weight.role != checkpoint::Role::kMtp;
    if (!is_part) continue;
    parts[weight.fused_group].push_back({&weight, ReadScalar(model.checkpoint, weight.scale)});
  }
  return parts;
}

}  // namespace

RequantisedWeights::RequantisedWeights(const checkpoint::SourceModel& model)
    : model_(model), reader_(model.checkpoint) {
  for (const auto& [group, parts] : FusedParts(model)) {
    // A scale that is none is for whoever decodes the weight.
    if (!std::ranges::all_of(parts, IsUsableScale, &Part::scale)) continue;
    const auto [least, most] = std::ranges::minmax(parts, {}, &Part::scale);
    if (least.scale == most.scale) continue;
    for (const Part& part : parts) largest_.emplace(part.weight, most.scale);
  }
}

at::Tensor RequantisedWeights::Of(const LogicalWeight& weight, at::Device device) {
  const float scale = largest_.at(&weight);
  const at::Tensor values =
      ReadWeightRows(model_, reader_, weight, checkpoint::Rescaling(), 0, weight.rows())
          .to(device)
          .to(at::kHalf)
          .to(at::kFloat);
  const at::Tensor reciprocal = at::full({1}, 1.0f / scale, values.options());
  return (RoundTripFp8(values * reciprocal, 1.0f) * scale).view(weight.shape);
}

}  // namespace vernier::calib

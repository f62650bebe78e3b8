#include "export/group_scale.h"

#include <algorithm>

#include "checkpoint/value_checks.h"
#include "export/numbers.h"
#include "export/row_tiles.h"
#include "export/scale_search.h"
#include "quantizers/fp8.h"
#include "quantizers/nvfp4.h"
#include "recipes/target_format.h"
#include "recipes/target_layout.h"

namespace vernier::exporter {
namespace {

using checkpoint::Checkpoint;
using checkpoint::LogicalWeight;
using recipes::ScaleMethod;
using recipes::TargetFormat;

Extremes FindExponents(const Checkpoint& checkpoint, const LogicalWeight& weight,
                       const checkpoint::RawRows& rows) {
  const std::span codes(reinterpret_cast<const uint8_t*>(rows.scale.data()), rows.scale.size());
  const checkpoint::ByteRange range =
      ScaleRange(checkpoint, weight, rows.row_begin, rows.row_count);
  RefuseE8m0Nan(checkpoint, weight.scale, static_cast<int64_t>(range.begin), codes);
  return {.exponent = quantizers::FindMaxExponent(codes)};
}

}  // namespace

bool HasGroupScale(const recipes::Plan& plan, const recipes::ScaleGroup& group) {
  return recipes::HasWholeWeightScale(plan.weights[group.weights.front()].format);
}

float StoredScale(const recipes::Plan& plan, const recipes::ScaleGroup& group, float scale) {
  const TargetFormat format = plan.weights[group.weights.front()].format;
  return recipes::StoresReciprocals(format, plan.dialect) ? 1.0f / scale : scale;
}

bool HoldsGroupScale(const recipes::Plan& plan, const recipes::OutputTensor& tensor) {
  if (tensor.part == recipes::OutputPart::kGlobalScale) return true;
  return tensor.part == recipes::OutputPart::kScale &&
         plan.weights[tensor.weight].format == TargetFormat::kFp8Tensor;
}

void Extremes::Merge(const Extremes& other) {
  exponent.Merge(other.exponent);
  amax = std::max(amax, other.amax);
}

Extremes FindExtremes(const Checkpoint& checkpoint, const LogicalWeight& weight,
                      const checkpoint::Rescaling& rescaling, const recipes::ScaleGroup& group,
                      const checkpoint::RawRows& rows) {
  if (group.scale == ScaleMethod::kLossless) return FindExponents(checkpoint, weight, rows);
  Extremes extremes;
  ForEachTile(checkpoint, weight, rescaling, rows, 1, [&](const checkpoint::RawRows&, auto values) {
    extremes.amax = std::max(extremes.amax, quantizers::FindAmax(values).value);
  });
  return extremes;
}

WeightScale ScaleOf(const recipes::Plan& plan, const recipes::ScaleGroup& group,
                    const Extremes& extremes) {
  WeightScale result;
  if (group.scale == ScaleMethod::kLossless) {
    result.k_max = extremes.exponent.ValueOrZero();
    result.scale = quantizers::LosslessGlobalScale(result.k_max);
  } else if (plan.weights[group.weights.front()].format == TargetFormat::kFp8Tensor) {
    // Codes are computed with the number that is stored.
    result.scale =
        RoundNumber(quantizers::Fp8Scale(extremes.amax), recipes::WholeFp8ScaleDtype(plan.dialect));
  } else {
    result.scale = quantizers::Nvfp4GlobalScale(extremes.amax, Nvfp4SearchOf(group.scale));
  }
  result.stored = StoredScale(plan, group, result.scale);
  return result;
}

}  // namespace vernier::exporter

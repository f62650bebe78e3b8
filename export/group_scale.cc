#include "export/group_scale.h"

#include <algorithm>

#include "checkpoint/value_checks.h"
#include "dialects/target_parts.h"
#include "export/row_tiles.h"

namespace vernier::exporter {
namespace {

using checkpoint::Checkpoint;
using checkpoint::LogicalWeight;
using recipes::ScaleMethod;

checkpoint::Format FormatOfGroup(const recipes::Plan& plan, const recipes::ScaleGroup& group) {
  return plan.weights[group.weights.front()].format;
}

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
  return FormatOfGroup(plan, group)->weight_scale != nullptr;
}

float StoredScale(const recipes::Plan& plan, const recipes::ScaleGroup& group, float scale) {
  const bool divides = dialects::StoresReciprocals(FormatOfGroup(plan, group), *plan.dialect);
  return divides ? 1.0f / scale : scale;
}

bool HoldsGroupScale(const recipes::Plan& plan, const recipes::OutputTensor& tensor) {
  if (!plan.weights[tensor.weight].format) return false;  // a kept weight's own
  if (tensor.part == recipes::OutputPart::kGlobalScale) return true;
  return tensor.part == recipes::OutputPart::kScale &&
         plan.weights[tensor.weight].format->parts.span == checkpoint::ScaleSpan::kWeight;
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
  } else {
    result.scale =
        FormatOfGroup(plan, group)->weight_scale(extremes.amax, group.scale, plan.dialect->number);
  }
  result.stored = StoredScale(plan, group, result.scale);
  return result;
}

}  // namespace vernier::exporter

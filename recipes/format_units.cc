#include "recipes/format_units.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "checkpoint/stored_bytes.h"
#include "dialects/target_parts.h"
#include "recipes/source_convention.h"

namespace vernier::recipes {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::SourceModel;

uint64_t BytesIn(Format format, const SourceModel& source, const Plan& plan,
                 const LogicalWeight& weight) {
  if (format == kKeep) {
    return checkpoint::StoredBytes(source.checkpoint, weight);
  }
  const dialects::TargetRequest request = {.format = format,
                                           .dialect = *plan.dialect,
                                           .with_input_scale = true,
                                           .weight = weight,
                                           .fp8_blocks = plan.fp8_blocks};
  uint64_t bits = 0;
  for (const dialects::TargetPart& part : dialects::TargetParts(request)) {
    uint64_t elements = 1;
    for (const int64_t size : part.shape) elements *= static_cast<uint64_t>(size);
    bits += elements * static_cast<uint64_t>(checkpoint::DTypeBits(part.dtype));
  }
  return bits / 8;
}

class UnitMaker {
 public:
  UnitMaker(const SourceModel& source, const Plan& plan)
      : source_(source), plan_(plan), stays_native_(StaysNative(source, plan)) {}

  std::vector<FormatUnit> Make() {
    for (size_t i = 0; i < plan_.weights.size(); ++i) {
      const WeightPlan& planned = plan_.weights[i];
      if (planned.format != formats::kNvfp4 || planned.scale == ScaleMethod::kLossless) continue;
      Unit(source_.layout.weights[i]).weights.push_back(i);
    }
    for (FormatUnit& unit : units_) {
      AddOption(unit, formats::kNvfp4);
      // Beside weights that stay in the model's own FP8, engines take no other.
      if (!stays_native_) AddOption(unit, formats::kFp8Tensor);
      AddOption(unit, ReleasedFormat(unit));
    }
    return std::move(units_);
  }

 private:
  FormatUnit& Unit(const LogicalWeight& weight) {
    const auto [place, is_new] = places_.try_emplace(NameOf(weight), units_.size());
    if (is_new) units_.push_back({.name = place->first, .weights = {}, .options = {}});
    return units_[place->second];
  }

  static std::string NameOf(const LogicalWeight& weight) {
    if (weight.expert >= 0) return fmt::format("routed experts of layer {}", weight.layer);
    return weight.fused_group.empty() ? weight.module : weight.fused_group;
  }

  // BF16 where a fold changes values, or where what they were released in could not stand beside
  // the others.
  Format ReleasedFormat(const FormatUnit& unit) const {
    const bool stays = std::ranges::all_of(unit.weights, [&](size_t weight) {
      return !plan_.weights[weight].folded() && CanStay(source_.layout.weights[weight]);
    });
    return stays ? kKeep : formats::kBf16;
  }

  bool CanStay(const LogicalWeight& weight) const {
    if (weight.format == formats::kPlain) return true;
    return stays_native_ && &dialects::DialectOf(source_, weight) == &dialects::kNative;
  }

  void AddOption(FormatUnit& unit, Format format) const {
    FormatUnit::Option option{.format = format};
    for (const size_t weight : unit.weights) {
      option.bytes += BytesIn(format, source_, plan_, source_.layout.weights[weight]);
    }
    if (unit.options.empty() || option.bytes > unit.options.back().bytes) {
      unit.options.push_back(option);
    }
  }

  const SourceModel& source_;
  const Plan& plan_;
  const bool stays_native_;
  std::vector<FormatUnit> units_;
  std::unordered_map<std::string, size_t> places_;
};

}  // namespace

std::vector<FormatUnit> FormatUnits(const SourceModel& source, const Plan& plan) {
  return UnitMaker(source, plan).Make();
}

}  // namespace vernier::recipes

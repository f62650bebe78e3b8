#include "export/weight_scales.h"

#include <fmt/format.h>
#include <oneapi/tbb/enumerable_thread_specific.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <utility>

#include "base/error.h"
#include "checkpoint/weight_reader.h"
#include "export/bounded_pipeline.h"
#include "export/row_chunks.h"
#include "quantizers/mxfp4.h"
#include "quantizers/nvfp4.h"

namespace vernier::exporter {
namespace {

using checkpoint::Checkpoint;
using checkpoint::LogicalWeight;
using recipes::ScaleMethod;

constexpr uint8_t kE8m0Nan = 0xFF;

// Rows of one member of a group.
struct RowRange {
  size_t group = 0;
  size_t weight = 0;
  int64_t row_begin = 0;
  int64_t row_count = 0;
};

// What rows tell about their group's scale; merging in any order gives the same.
struct Extremes {
  size_t group = 0;
  uint64_t bytes = 0;
  quantizers::MaxExponent exponent = {};  // lossless
  float amax = 0;                         // max
};

struct Buffers {
  std::vector<uint8_t> codes;
  std::vector<float> values;
};

// Walks over the rows of all members of all groups.
class RowWalk {
 public:
  RowWalk(const checkpoint::ModelLayout& layout, const recipes::Plan& plan)
      : layout_(layout), plan_(plan) {}

  std::optional<RowRange> Next() {
    while (group_ < plan_.scale_groups.size()) {
      const std::vector<size_t>& members = plan_.scale_groups[group_].weights;
      if (member_ == members.size()) {
        ++group_;
        member_ = 0;
        continue;
      }
      const LogicalWeight& weight = layout_.weights[members[member_]];
      if (row_ >= weight.rows()) {
        ++member_;
        row_ = 0;
        continue;
      }
      const int64_t count = std::min(RowsPerChunk(weight.columns()), weight.rows() - row_);
      return RowRange{group_, members[member_], std::exchange(row_, row_ + count), count};
    }
    return std::nullopt;
  }

 private:
  const checkpoint::ModelLayout& layout_;
  const recipes::Plan& plan_;
  size_t group_ = 0;
  size_t member_ = 0;
  int64_t row_ = 0;
};

Extremes ReadExponents(const Checkpoint& checkpoint, const LogicalWeight& weight,
                       const RowRange& range, Buffers& buffers) {
  const int64_t row_bytes = weight.columns() / quantizers::kMxfp4BlockSize;
  const auto begin = static_cast<uint64_t>(range.row_begin * row_bytes);
  buffers.codes.resize(static_cast<size_t>(range.row_count * row_bytes));
  checkpoint.Read(weight.scale, begin, std::as_writable_bytes(std::span(buffers.codes)));

  const auto nan = std::ranges::find(buffers.codes, kE8m0Nan);
  if (nan != buffers.codes.end()) {
    const uint64_t index = begin + static_cast<uint64_t>(nan - buffers.codes.begin());
    throw Error(ErrorCode::kBadWeightValue, checkpoint.tensor(weight.scale).info.name,
                fmt::format("element {} is NaN (E8M0 byte 0xFF)", index),
                "Fetch the shard again, or repair the source");
  }
  return {.group = range.group,
          .bytes = buffers.codes.size(),
          .exponent = quantizers::FindMaxExponent(buffers.codes)};
}

Extremes ReadAmax(const Checkpoint& checkpoint, const LogicalWeight& weight, const RowRange& range,
                  Buffers& buffers) {
  buffers.values.resize(static_cast<size_t>(range.row_count * weight.columns()));
  checkpoint::WeightReader(checkpoint)
      .ReadF32(weight, range.row_begin, range.row_count, buffers.values);
  Extremes extremes{.group = range.group};
  for (const float value : buffers.values)
    extremes.amax = std::max(extremes.amax, std::fabs(value));
  const uint64_t main_bytes = checkpoint.tensor(weight.main).info.Bytes();
  extremes.bytes =
      main_bytes / static_cast<uint64_t>(weight.rows()) * static_cast<uint64_t>(range.row_count);
  return extremes;
}

WeightScale ScaleOf(const Extremes& extremes, ScaleMethod method) {
  if (method != ScaleMethod::kLossless) {
    return {.global_scale = quantizers::Nvfp4GlobalScale(extremes.amax)};
  }
  const int k_max = extremes.exponent.ValueOrZero();
  return {.global_scale = quantizers::LosslessGlobalScale(k_max), .k_max = k_max};
}

}  // namespace

uint64_t WeightScaleBytes(const checkpoint::SourceModel& source, const recipes::Plan& plan) {
  uint64_t bytes = 0;
  for (const recipes::ScaleGroup& group : plan.scale_groups) {
    for (const size_t index : group.weights) {
      const LogicalWeight& weight = source.layout.weights[index];
      const size_t tensor = group.scale == ScaleMethod::kLossless ? weight.scale : weight.main;
      bytes += source.checkpoint.tensor(tensor).info.Bytes();
    }
  }
  return bytes;
}

std::vector<WeightScale> ResolveWeightScales(const checkpoint::SourceModel& source,
                                             const recipes::Plan& plan, int threads,
                                             const std::function<void(uint64_t)>& on_bytes) {
  std::vector<Extremes> groups(plan.scale_groups.size());
  oneapi::tbb::enumerable_thread_specific<Buffers> buffers;
  RowWalk walk(source.layout, plan);

  const auto work = [&](const RowRange& range) {
    const LogicalWeight& weight = source.layout.weights[range.weight];
    const bool lossless = plan.scale_groups[range.group].scale == ScaleMethod::kLossless;
    return lossless ? ReadExponents(source.checkpoint, weight, range, buffers.local())
                    : ReadAmax(source.checkpoint, weight, range, buffers.local());
  };
  const auto done = [&](const Extremes& extremes) {
    Extremes& group = groups[extremes.group];
    group.exponent.Merge(extremes.exponent);
    group.amax = std::max(group.amax, extremes.amax);
    on_bytes(extremes.bytes);
  };
  RunBounded(
      threads, [&walk] { return walk.Next(); }, work, done);

  std::vector<WeightScale> scales(groups.size());
  for (size_t i = 0; i < groups.size(); ++i) {
    scales[i] = ScaleOf(groups[i], plan.scale_groups[i].scale);
  }
  return scales;
}

}  // namespace vernier::exporter

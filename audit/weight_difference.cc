#include "audit/weight_difference.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstddef>

#include "quantizers/float_formats.h"
#include "quantizers/nvfp4.h"

// clang-format off
#include "quantizers/simd_dispatch.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "audit/weight_difference.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// clang-format on

#ifndef VERNIER_AUDIT_WEIGHT_DIFFERENCE_ONCE
#define VERNIER_AUDIT_WEIGHT_DIFFERENCE_ONCE
namespace vernier::audit {

constexpr size_t kColumns = 16;
constexpr size_t kBlock = quantizers::kNvfp4BlockSize;

// The sums of DifferenceOf before they are added.
struct DifferenceColumns {
  double squared_error[kColumns] = {};
  double squared_source[kColumns] = {};
  double max_abs_error[kColumns] = {};

  void Add(size_t column, float value, float expected) {
    const double error = double{value} - double{expected};
    squared_error[column] += error * error;
    squared_source[column] += double{expected} * double{expected};
    max_abs_error[column] = std::max(max_abs_error[column], std::fabs(error));
  }
};

struct BlockCount {
  size_t saturated = 0;
  bool all_zero = false;
};

}  // namespace vernier::audit
#endif

HWY_BEFORE_NAMESPACE();
namespace vernier::audit::HWY_NAMESPACE {

// `count` is a multiple of kColumns.
void AddDifferences(const float* values, const float* expected, size_t count,
                    DifferenceColumns* columns) {
#if VERNIER_SCALAR_TARGET
  for (size_t i = 0; i < count; ++i) columns->Add(i % kColumns, values[i], expected[i]);
#else
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::CappedTag<double, 8> tag;
  const hn::Rebind<float, decltype(tag)> value_tag;
  constexpr size_t kLanes = hn::MaxLanes(hn::CappedTag<double, 8>());
  constexpr size_t kVectors = kColumns / kLanes;
  hn::Vec<decltype(tag)> squared_error[kVectors];
  hn::Vec<decltype(tag)> squared_source[kVectors];
  hn::Vec<decltype(tag)> largest[kVectors];
  for (size_t k = 0; k < kVectors; ++k) {
    squared_error[k] = squared_source[k] = largest[k] = hn::Zero(tag);
  }
  for (size_t i = 0; i < count; i += kColumns) {
    for (size_t k = 0; k < kVectors; ++k) {
      const auto a = hn::PromoteTo(tag, hn::LoadU(value_tag, values + i + k * kLanes));
      const auto b = hn::PromoteTo(tag, hn::LoadU(value_tag, expected + i + k * kLanes));
      const auto error = hn::Sub(a, b);
      squared_error[k] = hn::Add(squared_error[k], hn::Mul(error, error));
      squared_source[k] = hn::Add(squared_source[k], hn::Mul(b, b));
      largest[k] = hn::Max(largest[k], hn::Abs(error));
    }
  }
  for (size_t k = 0; k < kVectors; ++k) {
    hn::StoreU(squared_error[k], tag, columns->squared_error + k * kLanes);
    hn::StoreU(squared_source[k], tag, columns->squared_source + k * kLanes);
    hn::StoreU(largest[k], tag, columns->max_abs_error + k * kLanes);
  }
#endif
}

BlockCount CountBlock(const float* expected, float limit) {
#if VERNIER_SCALAR_TARGET
  BlockCount count{.saturated = 0, .all_zero = true};
  for (size_t i = 0; i < kBlock; ++i) {
    count.saturated += std::fabs(expected[i]) > limit;
    count.all_zero = count.all_zero && expected[i] == 0;
  }
  return count;
#else
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::CappedTag<float, kBlock> tag;
  constexpr size_t kLanes = hn::MaxLanes(hn::CappedTag<float, kBlock>());
  const auto bound = hn::Set(tag, limit);
  auto largest = hn::Zero(tag);
  size_t saturated = 0;
  for (size_t i = 0; i < kBlock; i += kLanes) {
    const auto magnitude = hn::Abs(hn::LoadU(tag, expected + i));
    saturated += hn::CountTrue(tag, hn::Gt(magnitude, bound));
    largest = hn::Max(largest, magnitude);
  }
  return {saturated, hn::AllTrue(tag, hn::Eq(largest, hn::Zero(tag)))};
#endif
}

void AddBlockLoss(const float* expected, const uint8_t* scales, size_t blocks, const float* limits,
                  uint8_t largest_scale, BlockLoss* loss) {
  for (size_t i = 0; i < blocks; ++i) {
    const BlockCount count = CountBlock(expected + i * kBlock, limits[scales[i]]);
    loss->saturated += static_cast<int64_t>(count.saturated);
    loss->zero_blocks += count.all_zero;
    if (scales[i] == largest_scale) loss->clipped += static_cast<int64_t>(count.saturated);
  }
}

}  // namespace vernier::audit::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vernier::audit {
namespace {

HWY_EXPORT(AddDifferences);
HWY_EXPORT(AddBlockLoss);

constexpr size_t kCodes = 256;
constexpr uint8_t kLargestScale = 0x7E;  // 448

}  // namespace

Difference DifferenceOf(std::span<const float> values, std::span<const float> expected) {
  assert(values.size() == expected.size());
  const size_t whole = values.size() / kColumns * kColumns;
  DifferenceColumns columns;
  HWY_DYNAMIC_DISPATCH(AddDifferences)(values.data(), expected.data(), whole, &columns);
  for (size_t i = whole; i < values.size(); ++i) columns.Add(i - whole, values[i], expected[i]);
  Difference sum;
  for (size_t k = 0; k < kColumns; ++k) {
    sum.squared_error += columns.squared_error[k];
    sum.squared_source += columns.squared_source[k];
    sum.max_abs_error = std::max(sum.max_abs_error, columns.max_abs_error[k]);
  }
  return sum;
}

BlockLoss BlockLossOf(std::span<const float> expected, std::span<const uint8_t> scales,
                      float global_scale) {
  assert(expected.size() == scales.size() * kBlock);
  std::array<float, kCodes> limits;
  for (size_t code = 0; code < kCodes; ++code) {
    const float scale = quantizers::E4m3ToFloat(static_cast<uint8_t>(code));
    limits[code] = quantizers::kE2m1Max * (scale * global_scale);
  }
  BlockLoss loss;
  HWY_DYNAMIC_DISPATCH(AddBlockLoss)
  (expected.data(), scales.data(), scales.size(), limits.data(), kLargestScale, &loss);
  return loss;
}

}  // namespace vernier::audit
#endif  // HWY_ONCE

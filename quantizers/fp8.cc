// clang-format off
#include "quantizers/simd_dispatch.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantizers/fp8.cc"
#include "hwy/foreach_target.h"
#include "quantizers/fp8-inl.h"
// clang-format on

#include "quantizers/fp8.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>

#include "quantizers/fp8_reference.h"

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {
namespace {

#if VERNIER_SCALAR_TARGET

template <typename Real>
void QuantizeTensorReals(std::span<const Real> values, float scale, std::span<uint8_t> codes) {
  reference::QuantizeFp8(values, scale, codes);
}

template <typename Real>
void QuantizeBlocksReals(std::span<const Real> values, int64_t columns, int64_t block_rows,
                         int64_t block_columns, Fp8ScaleKind kind, std::span<uint8_t> codes,
                         std::span<float> scales) {
  reference::QuantizeFp8Blocks(values, columns, block_rows, block_columns, kind, codes, scales);
}

template <typename Real>
void DequantizeRowsReals(std::span<const uint8_t> codes, int64_t columns, int64_t block_columns,
                         std::span<const float> row_scales, std::span<Real> values) {
  reference::DequantizeFp8Rows(codes, columns, block_columns, row_scales, values);
}

#else

template <typename Real>
void QuantizeTensorReals(std::span<const Real> values, float scale, std::span<uint8_t> codes) {
  QuantizeFp8Run(values, scale, Fp8Divider(scale), codes);
}

// One block: `width` columns of `height` rows that lie `columns` elements apart.
template <typename Real>
float QuantizeBlock(const Real* values, size_t columns, size_t height, size_t width,
                    Fp8ScaleKind kind, uint8_t* codes) {
  const float scale = reference::Fp8BlockScale(AmaxBits(values, width, height, columns), kind);
  const Divider quotient = Fp8Divider(scale);
  for (size_t row = 0; row < height; ++row) {
    QuantizeFp8Run(std::span(values + row * columns, width), scale, quotient,
                   std::span(codes + row * columns, width));
  }
  return scale;
}

template <typename Real>
void QuantizeBlocksReals(std::span<const Real> values, int64_t columns, int64_t block_rows,
                         int64_t block_columns, Fp8ScaleKind kind, std::span<uint8_t> codes,
                         std::span<float> scales) {
  const auto width = static_cast<size_t>(columns);
  const size_t rows = values.size() / width;
  size_t block = 0;
  for (size_t top = 0; top < rows; top += static_cast<size_t>(block_rows)) {
    const size_t height = std::min(static_cast<size_t>(block_rows), rows - top);
    for (size_t left = 0; left < width; left += static_cast<size_t>(block_columns)) {
      const size_t begin = top * width + left;
      scales[block++] = QuantizeBlock(values.data() + begin, width, height,
                                      std::min(static_cast<size_t>(block_columns), width - left),
                                      kind, codes.data() + begin);
    }
  }
}

template <typename Real>
void DequantizeRowsReals(std::span<const uint8_t> codes, int64_t columns, int64_t block_columns,
                         std::span<const float> row_scales, std::span<Real> values) {
  const auto width = static_cast<size_t>(columns);
  const auto block_width = static_cast<size_t>(block_columns);
  const float* scale = row_scales.data();
  for (size_t row = 0; row < codes.size(); row += width) {
    for (size_t left = 0; left < width; left += block_width) {
      DecodeFp8Run(codes.data() + row + left, std::min(block_width, width - left), *scale++,
                   values.data() + row + left);
    }
  }
}

#endif  // VERNIER_SCALAR_TARGET

void QuantizeTensor(RealSpan values, float scale, std::span<uint8_t> codes) {
  std::visit([&](auto reals) HWY_ATTR { QuantizeTensorReals(reals, scale, codes); }, values);
}

void QuantizeBlocks(RealSpan values, int64_t columns, int64_t block_rows, int64_t block_columns,
                    Fp8ScaleKind kind, std::span<uint8_t> codes, std::span<float> scales) {
  const auto quantize = [&](auto reals) HWY_ATTR {
    QuantizeBlocksReals(reals, columns, block_rows, block_columns, kind, codes, scales);
  };
  std::visit(quantize, values);
}

void DequantizeRows(std::span<const uint8_t> codes, int64_t columns, int64_t block_columns,
                    std::span<const float> row_scales, MutableRealSpan values) {
  const auto dequantize = [&](auto reals) HWY_ATTR {
    DequantizeRowsReals(codes, columns, block_columns, row_scales, reals);
  };
  std::visit(dequantize, values);
}

}  // namespace
}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace vernier::quantizers {
namespace {

HWY_EXPORT(QuantizeTensor);
HWY_EXPORT(QuantizeBlocks);
HWY_EXPORT(DequantizeRows);

[[maybe_unused]] bool UsableScale(float scale) {
  return std::isfinite(scale) && scale >= kFp8MinScale;
}

[[maybe_unused]] bool ShapesAgree(size_t values, size_t codes, int64_t columns,
                                  int64_t block_columns) {
  return columns > 0 && block_columns > 0 && values == codes &&
         codes % static_cast<size_t>(columns) == 0;
}

[[maybe_unused]] size_t BlocksPerRow(int64_t columns, int64_t block_columns) {
  return static_cast<size_t>((columns + block_columns - 1) / block_columns);
}

[[maybe_unused]] size_t Blocks(size_t codes, int64_t columns, int64_t block_rows,
                               int64_t block_columns) {
  const size_t rows = codes / static_cast<size_t>(columns);
  const auto height = static_cast<size_t>(block_rows);
  return (rows + height - 1) / height * BlocksPerRow(columns, block_columns);
}

[[maybe_unused]] size_t RowScales(size_t codes, int64_t columns, int64_t block_columns) {
  return codes / static_cast<size_t>(columns) * BlocksPerRow(columns, block_columns);
}

}  // namespace

float Fp8Scale(float amax) {
  assert(std::isfinite(amax) && amax >= 0.0f);
  if (amax == 0.0f) return 1.0f;
  return std::max(amax / kE4m3Max, kFp8MinScale);
}

void QuantizeFp8(RealSpan values, float scale, std::span<uint8_t> codes) {
  assert(SizeOf(values) == codes.size() && UsableScale(scale));
  HWY_DYNAMIC_DISPATCH(QuantizeTensor)(values, scale, codes);
}

void QuantizeFp8Blocks(RealSpan values, int64_t columns, int64_t block_rows, int64_t block_columns,
                       Fp8ScaleKind scale_kind, std::span<uint8_t> codes, std::span<float> scales) {
  assert(ShapesAgree(SizeOf(values), codes.size(), columns, block_columns) && block_rows > 0);
  assert(scales.size() == Blocks(codes.size(), columns, block_rows, block_columns));
  HWY_DYNAMIC_DISPATCH(QuantizeBlocks)
  (values, columns, block_rows, block_columns, scale_kind, codes, scales);
}

void DequantizeFp8Rows(std::span<const uint8_t> codes, int64_t columns, int64_t block_columns,
                       std::span<const float> row_scales, MutableRealSpan values) {
  assert(ShapesAgree(SizeOf(values), codes.size(), columns, block_columns));
  assert(row_scales.size() == RowScales(codes.size(), columns, block_columns));
  HWY_DYNAMIC_DISPATCH(DequantizeRows)(codes, columns, block_columns, row_scales, values);
}

}  // namespace vernier::quantizers

#endif  // HWY_ONCE

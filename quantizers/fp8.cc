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
void QuantizeTensor(std::span<const Real> values, float scale, std::span<uint8_t> codes) {
  reference::QuantizeFp8(values, scale, codes);
}

template <typename Real>
void QuantizeBlocks(std::span<const Real> values, int64_t columns, int64_t block_rows,
                    int64_t block_columns, Fp8ScaleKind kind, std::span<uint8_t> codes,
                    std::span<float> scales) {
  reference::QuantizeFp8Blocks(values, columns, block_rows, block_columns, kind, codes, scales);
}

template <typename Real>
void DequantizeRows(std::span<const uint8_t> codes, int64_t columns, int64_t block_columns,
                    std::span<const float> row_scales, std::span<Real> values) {
  reference::DequantizeFp8Rows(codes, columns, block_columns, row_scales, values);
}

#else

template <typename Real>
void QuantizeTensor(std::span<const Real> values, float scale, std::span<uint8_t> codes) {
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
void QuantizeBlocks(std::span<const Real> values, int64_t columns, int64_t block_rows,
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
void DequantizeRows(std::span<const uint8_t> codes, int64_t columns, int64_t block_columns,
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

void QuantizeTensorF32(std::span<const float> values, float scale, std::span<uint8_t> codes) {
  QuantizeTensor(values, scale, codes);
}

void QuantizeTensorBf16(std::span<const uint16_t> bf16, float scale, std::span<uint8_t> codes) {
  QuantizeTensor(bf16, scale, codes);
}

void QuantizeBlocksF32(std::span<const float> values, int64_t columns, int64_t block_rows,
                       int64_t block_columns, Fp8ScaleKind kind, std::span<uint8_t> codes,
                       std::span<float> scales) {
  QuantizeBlocks(values, columns, block_rows, block_columns, kind, codes, scales);
}

void QuantizeBlocksBf16(std::span<const uint16_t> bf16, int64_t columns, int64_t block_rows,
                        int64_t block_columns, Fp8ScaleKind kind, std::span<uint8_t> codes,
                        std::span<float> scales) {
  QuantizeBlocks(bf16, columns, block_rows, block_columns, kind, codes, scales);
}

void DequantizeRowsF32(std::span<const uint8_t> codes, int64_t columns, int64_t block_columns,
                       std::span<const float> row_scales, std::span<float> values) {
  DequantizeRows(codes, columns, block_columns, row_scales, values);
}

void DequantizeRowsBf16(std::span<const uint8_t> codes, int64_t columns, int64_t block_columns,
                        std::span<const float> row_scales, std::span<uint16_t> bf16) {
  DequantizeRows(codes, columns, block_columns, row_scales, bf16);
}

}  // namespace
}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace vernier::quantizers {
namespace {

HWY_EXPORT(QuantizeTensorF32);
HWY_EXPORT(QuantizeTensorBf16);
HWY_EXPORT(QuantizeBlocksF32);
HWY_EXPORT(QuantizeBlocksBf16);
HWY_EXPORT(DequantizeRowsF32);
HWY_EXPORT(DequantizeRowsBf16);

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

void QuantizeFp8(std::span<const float> values, float scale, std::span<uint8_t> codes) {
  assert(values.size() == codes.size() && UsableScale(scale));
  HWY_DYNAMIC_DISPATCH(QuantizeTensorF32)(values, scale, codes);
}

void QuantizeFp8(std::span<const uint16_t> bf16, float scale, std::span<uint8_t> codes) {
  assert(bf16.size() == codes.size() && UsableScale(scale));
  HWY_DYNAMIC_DISPATCH(QuantizeTensorBf16)(bf16, scale, codes);
}

void QuantizeFp8Blocks(std::span<const float> values, int64_t columns, int64_t block_rows,
                       int64_t block_columns, Fp8ScaleKind scale_kind, std::span<uint8_t> codes,
                       std::span<float> scales) {
  assert(ShapesAgree(values.size(), codes.size(), columns, block_columns) && block_rows > 0);
  assert(scales.size() == Blocks(codes.size(), columns, block_rows, block_columns));
  HWY_DYNAMIC_DISPATCH(QuantizeBlocksF32)
  (values, columns, block_rows, block_columns, scale_kind, codes, scales);
}

void QuantizeFp8Blocks(std::span<const uint16_t> bf16, int64_t columns, int64_t block_rows,
                       int64_t block_columns, Fp8ScaleKind scale_kind, std::span<uint8_t> codes,
                       std::span<float> scales) {
  assert(ShapesAgree(bf16.size(), codes.size(), columns, block_columns) && block_rows > 0);
  assert(scales.size() == Blocks(codes.size(), columns, block_rows, block_columns));
  HWY_DYNAMIC_DISPATCH(QuantizeBlocksBf16)
  (bf16, columns, block_rows, block_columns, scale_kind, codes, scales);
}

void DequantizeFp8Rows(std::span<const uint8_t> codes, int64_t columns, int64_t block_columns,
                       std::span<const float> row_scales, std::span<float> values) {
  assert(ShapesAgree(values.size(), codes.size(), columns, block_columns));
  assert(row_scales.size() == RowScales(codes.size(), columns, block_columns));
  HWY_DYNAMIC_DISPATCH(DequantizeRowsF32)(codes, columns, block_columns, row_scales, values);
}

void DequantizeFp8Rows(std::span<const uint8_t> codes, int64_t columns, int64_t block_columns,
                       std::span<const float> row_scales, std::span<uint16_t> bf16) {
  assert(ShapesAgree(bf16.size(), codes.size(), columns, block_columns));
  assert(row_scales.size() == RowScales(codes.size(), columns, block_columns));
  HWY_DYNAMIC_DISPATCH(DequantizeRowsBf16)(codes, columns, block_columns, row_scales, bf16);
}

}  // namespace vernier::quantizers

#endif  // HWY_ONCE

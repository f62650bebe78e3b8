// The obvious, slow definition of FP8; fp8.h describes it and its fast functions equal it bit for
// bit. `Real` is float, or uint16_t for BF16.
#ifndef VERNIER_QUANTIZERS_FP8_REFERENCE_H_
#define VERNIER_QUANTIZERS_FP8_REFERENCE_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "quantizers/bf16_reference.h"
#include "quantizers/float_formats.h"
#include "quantizers/fp8.h"

namespace vernier::quantizers::reference {

// E4M3 of `value`, where `quotient` is |value| / scale: beyond 448, and NaN, saturates.
constexpr uint8_t EncodeFp8(float value, float quotient) {
  const float magnitude = quotient <= kE4m3Max ? quotient : kE4m3Max;
  return FloatToE4m3(magnitude) | SignOfByte(value);
}

template <typename Real>
void QuantizeFp8(std::span<const Real> values, float scale, std::span<uint8_t> codes) {
  for (size_t i = 0; i < values.size(); ++i) {
    const float value = Widen(values[i]);
    codes[i] = EncodeFp8(value, std::bit_cast<float>(MagnitudeBits(value)) / scale);
  }
}

// 127 + ceil(log2(amax / 448)) without rounding, at least 0. 448 is 1.75 * 2^8, so the exponent
// rises past that mantissa.
constexpr uint8_t Fp8ExponentByte(uint32_t amax_bits) {
  const uint32_t raised = (amax_bits + 0x1F'FFFFu) >> 23;
  return static_cast<uint8_t>(raised > 8 ? raised - 8 : 0);
}

inline float Fp8BlockScale(uint32_t amax_bits, Fp8ScaleKind kind) {
  if (kind != Fp8ScaleKind::kE8m0) {
    const float scale = Fp8Scale(FiniteAmax(amax_bits));
    return kind == Fp8ScaleKind::kF32 ? scale : Bf16ToFloat(FloatToBf16(scale));
  }
  if (amax_bits == 0) return 1.0f;
  return std::max(E8m0ToFloat(Fp8ExponentByte(amax_bits)), kFp8MinScale);
}

template <typename Real>
void QuantizeFp8Blocks(std::span<const Real> values, int64_t columns, int64_t block_rows,
                       int64_t block_columns, Fp8ScaleKind kind, std::span<uint8_t> codes,
                       std::span<float> scales) {
  const int64_t rows = static_cast<int64_t>(values.size()) / columns;
  size_t block = 0;
  for (int64_t top = 0; top < rows; top += block_rows) {
    for (int64_t left = 0; left < columns; left += block_columns, ++block) {
      const int64_t bottom = std::min(rows, top + block_rows);
      const auto width = static_cast<size_t>(std::min(block_columns, columns - left));
      uint32_t amax = 0;
      for (int64_t row = top; row < bottom; ++row) {
        amax = std::max(amax, AmaxBits(values.data() + row * columns + left, width));
      }
      scales[block] = Fp8BlockScale(amax, kind);
      for (int64_t row = top; row < bottom; ++row) {
        const auto begin = static_cast<size_t>(row * columns + left);
        QuantizeFp8(values.subspan(begin, width), scales[block], codes.subspan(begin, width));
      }
    }
  }
}

template <typename Real>
void DequantizeFp8Rows(std::span<const uint8_t> codes, int64_t columns, int64_t block_columns,
                       std::span<const float> row_scales, std::span<Real> values) {
  const auto width = static_cast<size_t>(columns);
  const auto block_width = static_cast<size_t>(block_columns);
  const size_t blocks = (width + block_width - 1) / block_width;
  for (size_t i = 0; i < codes.size(); ++i) {
    const float scale = row_scales[i / width * blocks + i % width / block_width];
    Narrow(E4m3ToFloat(codes[i]) * scale, values[i]);
  }
}

}  // namespace vernier::quantizers::reference

#endif  // VERNIER_QUANTIZERS_FP8_REFERENCE_H_

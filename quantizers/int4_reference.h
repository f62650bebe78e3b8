// The obvious, slow definition of INT4; int4.h describes it and its fast functions equal it bit for
// bit. `Real` is float, or uint16_t for BF16.
#ifndef VERNIER_QUANTIZERS_INT4_REFERENCE_H_
#define VERNIER_QUANTIZERS_INT4_REFERENCE_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "quantizers/bf16_reference.h"
#include "quantizers/int4.h"

namespace vernier::quantizers::reference {

inline constexpr float kInt4HalfRange = 7.5f;  // half of -8..7
inline constexpr int kInt4Bias = 8;

// BF16 has F32's exponents, so the least normal number is the same.
constexpr uint16_t Int4Scale(uint32_t amax_bits) {
  if (amax_bits == 0) return FloatToBf16(1.0f);
  return FloatToBf16(std::max(FiniteAmax(amax_bits) / kInt4HalfRange, 0x1p-126f));
}

// The stored nibble of `value`, where `quotient` is |value| / scale; NaN saturates.
constexpr uint8_t EncodeInt4(float value, float quotient) {
  const float magnitude = quotient <= 8.0f ? quotient : 8.0f;
  const float rounded = (magnitude + 0x1p23f) - 0x1p23f;  // to the nearest integer, ties to even
  const int code = static_cast<int>(rounded);
  return static_cast<uint8_t>(SignOfByte(value) ? kInt4Bias - code
                                                : std::min(kInt4Bias + code, 15));
}

// Calls visit(index, first element, elements) for every group; the last of a row may be shorter.
template <typename Visit>
void ForEachInt4Group(size_t elements, int64_t columns, int64_t group, Visit visit) {
  const auto width = static_cast<size_t>(columns);
  size_t index = 0;
  for (size_t row = 0; row < elements; row += width) {
    for (size_t left = 0; left < width; left += static_cast<size_t>(group)) {
      visit(index++, row + left, std::min(static_cast<size_t>(group), width - left));
    }
  }
}

// Part of a group under its scale.
template <typename Real>
void PackInt4(std::span<const Real> values, float scale, std::span<uint8_t> packed) {
  for (size_t i = 0; i < values.size(); ++i) {
    const float value = Widen(values[i]);
    const uint8_t code = EncodeInt4(value, std::bit_cast<float>(MagnitudeBits(value)) / scale);
    packed[i / 2] = static_cast<uint8_t>(i % 2 == 0 ? code : packed[i / 2] | (code << 4));
  }
}

template <typename Real>
void UnpackInt4(std::span<const uint8_t> packed, float scale, std::span<Real> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    const int code = ((packed[i / 2] >> (i % 2 * 4)) & 0xF) - kInt4Bias;
    Narrow(static_cast<float>(code) * scale, values[i]);
  }
}

template <typename Real>
void QuantizeInt4(std::span<const Real> values, int64_t columns, int64_t group,
                  std::span<uint8_t> packed, std::span<uint16_t> bf16_scales) {
  ForEachInt4Group(values.size(), columns, group, [&](size_t index, size_t begin, size_t count) {
    bf16_scales[index] = Int4Scale(AmaxBits(values.data() + begin, count));
    PackInt4(values.subspan(begin, count), Bf16ToFloat(bf16_scales[index]),
             packed.subspan(begin / 2, count / 2));
  });
}

template <typename Real>
void DequantizeInt4(std::span<const uint8_t> packed, std::span<const float> scales, int64_t columns,
                    int64_t group, std::span<Real> values) {
  ForEachInt4Group(values.size(), columns, group, [&](size_t index, size_t begin, size_t count) {
    UnpackInt4(packed.subspan(begin / 2, count / 2), scales[index], values.subspan(begin, count));
  });
}

}  // namespace vernier::quantizers::reference

#endif  // VERNIER_QUANTIZERS_INT4_REFERENCE_H_

// What the scalar definitions of the formats share: one code path for F32 and BF16 elements.
#ifndef VERNIER_QUANTIZERS_BF16_REFERENCE_H_
#define VERNIER_QUANTIZERS_BF16_REFERENCE_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "quantizers/float_formats.h"

namespace vernier::quantizers::reference {

inline constexpr uint32_t kMagnitudeMask = 0x7FFF'FFFFu;
inline constexpr uint32_t kLargestFiniteBits = 0x7F7F'FFFFu;

// An element, F32 or BF16, as F32; and an F32 as an element.
constexpr float Widen(float value) { return value; }
constexpr float Widen(uint16_t bf16) { return Bf16ToFloat(bf16); }
constexpr void Narrow(float value, float& element) { element = value; }
constexpr void Narrow(float value, uint16_t& element) { element = FloatToBf16(value); }

// Bits of |value|. As integers they order as the magnitudes do, with NaN above infinity.
constexpr uint32_t MagnitudeBits(float value) {
  return std::bit_cast<uint32_t>(value) & kMagnitudeMask;
}

// The sign bit of `value` at the top of a byte.
constexpr uint8_t SignOfByte(float value) {
  return static_cast<uint8_t>((std::bit_cast<uint32_t>(value) >> 24) & 0x80u);
}

// The largest MagnitudeBits among `count` elements.
template <typename Real>
constexpr uint32_t AmaxBits(const Real* values, size_t count) {
  uint32_t amax = 0;
  for (size_t i = 0; i < count; ++i) amax = std::max(amax, MagnitudeBits(Widen(values[i])));
  return amax;
}

// The amax that AmaxBits stands for; Inf and NaN count as the largest finite F32.
constexpr float FiniteAmax(uint32_t amax_bits) {
  return std::bit_cast<float>(std::min(amax_bits, kLargestFiniteBits));
}

// 1 / E8m0ToFloat(e8m0), exactly; for 0..254, the bytes that quantisers write.
constexpr float InverseE8m0(uint8_t e8m0) {
  return E8m0ToFloat(static_cast<uint8_t>(2 * kE8m0Bias - e8m0));
}

}  // namespace vernier::quantizers::reference

#endif  // VERNIER_QUANTIZERS_BF16_REFERENCE_H_

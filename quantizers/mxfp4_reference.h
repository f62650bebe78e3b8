// The obvious, slow definition of MXFP4; mxfp4.h describes it and its fast functions equal it bit
// for bit. `Real` is float, or uint16_t for BF16.
#ifndef VERNIER_QUANTIZERS_MXFP4_REFERENCE_H_
#define VERNIER_QUANTIZERS_MXFP4_REFERENCE_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "quantizers/bf16_reference.h"
#include "quantizers/float_formats.h"
#include "quantizers/mxfp4.h"

namespace vernier::quantizers::reference {

// Whether the sizes of values, packed nibbles and exponents belong to whole rows of `columns`.
constexpr bool Mxfp4ShapesAgree(size_t values, size_t packed, size_t e8m0, int64_t columns) {
  return columns > 0 && columns % kMxfp4BlockSize == 0 && values == 2 * packed &&
         values % static_cast<size_t>(columns) == 0 && values == e8m0 * kMxfp4BlockSize;
}

// 127 + ceil(log2(amax / 6)) without rounding, at least 0. 6 is 1.5 * 2^2, so the exponent rises
// past that mantissa.
constexpr uint8_t Mxfp4ExponentByte(uint32_t amax_bits) {
  const uint32_t raised = (amax_bits + 0x3F'FFFFu) >> 23;
  return static_cast<uint8_t>(raised > 2 ? raised - 2 : 0);
}

// The nearest E2M1 code to a magnitude; ties go down, beyond 6 and NaN saturate.
constexpr uint8_t EncodeMxfp4Magnitude(float a) {
  return static_cast<uint8_t>(!(a <= 0.25f) + !(a <= 0.75f) + !(a <= 1.25f) + !(a <= 1.75f) +
                              !(a <= 2.5f) + !(a <= 3.5f) + !(a <= 5.0f));
}

// The sign bit of a nibble: set unless the value is above zero, so that a zero has it.
constexpr uint8_t Mxfp4Sign(float value) { return std::bit_cast<int32_t>(value) > 0 ? 0 : 8; }

// Squared errors of a block under one exponent: of all its elements, and of those beyond 6 alone.
struct Mxfp4Error {
  float all = 0.0f;
  float saturated = 0.0f;
};

// Sums the errors of 16 pairs of neighbours in an order that vectors of 4, 8 and 16 lanes share:
// the upper half onto the lower until one is left.
constexpr float SumOfPairs(std::array<float, kMxfp4BlockSize / 2> terms) {
  for (size_t half = terms.size() / 2; half > 0; half /= 2) {
    for (size_t i = 0; i < half; ++i) terms[i] += terms[i + half];
  }
  return terms[0];
}

// `magnitudes` are in units of the scale that saturates nothing; the scale tried is 2^-drop.
// `importance` may be null for weights of 1.
inline Mxfp4Error ErrorOfDrop(const std::array<float, kMxfp4BlockSize>& magnitudes,
                              const float* importance, int drop) {
  std::array<float, kMxfp4BlockSize / 2> all{};
  std::array<float, kMxfp4BlockSize / 2> saturated{};
  const float scale = E8m0ToFloat(static_cast<uint8_t>(kE8m0Bias - drop));
  const float inverse_scale = E8m0ToFloat(static_cast<uint8_t>(kE8m0Bias + drop));
  for (size_t i = 0; i < magnitudes.size(); ++i) {
    const float quotient = magnitudes[i] * inverse_scale;
    const float distance = magnitudes[i] - kE2m1Values[EncodeMxfp4Magnitude(quotient)] * scale;
    const float error = distance * distance * (importance == nullptr ? 1.0f : importance[i]);
    all[i / 2] += error;
    saturated[i / 2] += quotient > kE2m1Max ? error : 0.0f;
  }
  return {SumOfPairs(all), SumOfPairs(saturated)};
}

// How far below the exponent that saturates nothing the search ends.
inline constexpr int kMxfp4MaxDrop = 100;

// Walks downwards with `error_of(drop)` and returns the drop with the least error, the smallest of
// equals. The saturated part only grows on the way down, also as computed (every step of it is
// monotone under rounding), so nothing below can win once it reaches the best error.
// Inlined like SumOfPairs.
template <typename ErrorOf>
[[gnu::always_inline]] inline int FindBestDrop(int max_drop, ErrorOf error_of) {
  int best_drop = 0;
  Mxfp4Error error = error_of(0);
  float best = error.all;
  if (!(best <= std::numeric_limits<float>::max())) return 0;  // Inf or NaN among the values
  for (int drop = 1; drop <= max_drop && error.saturated < best; ++drop) {
    error = error_of(drop);
    if (error.all < best) {
      best = error.all;
      best_drop = drop;
    }
  }
  return best_drop;
}

// Without importance one step down is enough: see mxfp4.h.
constexpr int MaxDrop(uint8_t top, bool weighted) {
  return std::min<int>(top, weighted ? kMxfp4MaxDrop : 1);
}

template <typename Real>
uint8_t FindMxfp4Exponent(const Real* values, uint8_t top, const float* importance) {
  std::array<float, kMxfp4BlockSize> magnitudes;
  for (size_t i = 0; i < magnitudes.size(); ++i) {
    const float magnitude = std::bit_cast<float>(MagnitudeBits(Widen(values[i])));
    magnitudes[i] = magnitude * InverseE8m0(top);
  }
  const int drop = FindBestDrop(MaxDrop(top, importance != nullptr),
                                [&](int d) { return ErrorOfDrop(magnitudes, importance, d); });
  return static_cast<uint8_t>(top - drop);
}

template <typename Real>
void QuantizeMxfp4(std::span<const Real> values, int64_t columns, Mxfp4Search search,
                   std::span<const float> importance, std::span<uint8_t> packed,
                   std::span<uint8_t> e8m0) {
  constexpr size_t kBlock = kMxfp4BlockSize;
  for (size_t block = 0; block < e8m0.size(); ++block) {
    const size_t begin = block * kBlock;
    const Real* source = values.data() + begin;
    e8m0[block] = Mxfp4ExponentByte(AmaxBits(source, kBlock));
    if (search == Mxfp4Search::kMse) {
      const float* weights =
          importance.empty() ? nullptr : &importance[begin % static_cast<size_t>(columns)];
      e8m0[block] = FindMxfp4Exponent(source, e8m0[block], weights);
    }
    const float inverse_scale = InverseE8m0(e8m0[block]);
    for (size_t i = begin; i < begin + kBlock; ++i) {
      const float value = Widen(values[i]);
      const float quotient = std::bit_cast<float>(MagnitudeBits(value)) * inverse_scale;
      const auto code = static_cast<uint8_t>(EncodeMxfp4Magnitude(quotient) | Mxfp4Sign(value));
      packed[i / 2] = static_cast<uint8_t>(i % 2 == 0 ? code : packed[i / 2] | (code << 4));
    }
  }
}

template <typename Real>
void DequantizeMxfp4(std::span<const uint8_t> packed, std::span<const uint8_t> e8m0,
                     std::span<Real> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    const uint8_t code = (packed[i / 2] >> (i % 2 * 4)) & 0xF;
    Narrow(kE2m1Values[code] * E8m0ToFloat(e8m0[i / kMxfp4BlockSize]), values[i]);
  }
}

}  // namespace vernier::quantizers::reference

#endif  // VERNIER_QUANTIZERS_MXFP4_REFERENCE_H_

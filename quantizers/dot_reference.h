// The definition of a product with F32 or BF16: which sums are formed, in which order.
#ifndef VERNIER_QUANTIZERS_DOT_REFERENCE_H_
#define VERNIER_QUANTIZERS_DOT_REFERENCE_H_

#include <array>
#include <cmath>
#include <cstddef>
#include <span>

#include "quantizers/bf16_reference.h"

namespace vernier::quantizers::reference {

// Sums that run beside each other.
inline constexpr size_t kDotSums = 16;

// Product k is added to sum k % kDotSums with one rounding; at the end the upper half of the sums
// is added to the lower half until one is left. Real: float, or uint16_t for BF16.
template <typename Real>
float Dot(std::span<const float> x, std::span<const Real> row) {
  std::array<float, kDotSums> sums{};
  for (size_t k = 0; k < x.size(); ++k) {
    float& sum = sums[k % kDotSums];
    sum = std::fma(x[k], Widen(row[k]), sum);
  }
  for (size_t half = kDotSums / 2; half > 0; half /= 2) {
    for (size_t i = 0; i < half; ++i) sums[i] += sums[i + half];
  }
  return sums[0];
}

}  // namespace vernier::quantizers::reference

#endif  // VERNIER_QUANTIZERS_DOT_REFERENCE_H_

// Whole numbers, rounded up.
#ifndef VERNIER_BASE_ROUNDING_H_
#define VERNIER_BASE_ROUNDING_H_

#include <cassert>
#include <concepts>
#include <type_traits>

namespace vernier {

// How many steps of `divisor` cover `value`: value / divisor, rounded up. For 0 <= value and
// 0 < divisor. Extents come from files and may be as large as their type: nothing is added to
// `value`, so nothing overflows.
template <std::integral T>
constexpr T CeilDivide(T value, std::type_identity_t<T> divisor) {
  assert(value >= 0 && divisor > 0);
  return value / divisor + (value % divisor != 0 ? 1 : 0);
}

// The least multiple of `step` that is not below `value`; it must fit T.
template <std::integral T>
constexpr T RoundUp(T value, std::type_identity_t<T> step) {
  return CeilDivide(value, step) * step;
}

}  // namespace vernier

#endif  // VERNIER_BASE_ROUNDING_H_

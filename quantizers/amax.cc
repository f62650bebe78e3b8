#include "quantizers/amax.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <span>
#include <type_traits>

#include "quantizers/bf16_reference.h"

// clang-format off
#include "quantizers/simd_dispatch.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantizers/amax.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// clang-format on

// Magnitudes are compared as integers, which orders them as numbers, then infinity, then NaN.
HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {

// The largest of the values' bit patterns once the sign is masked out. T is the value's type, Bits
// the unsigned integer of its width.
template <typename Bits, typename T>
Bits LargestMagnitude(const T* values, size_t count) {
  constexpr auto kMagnitude = static_cast<Bits>(static_cast<Bits>(~Bits{0}) >> 1);
  Bits largest = 0;
  size_t i = 0;
#if !VERNIER_SCALAR_TARGET
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::ScalableTag<Bits> tag;
  const hn::ScalableTag<T> value_tag;
  const size_t lanes = hn::Lanes(tag);
  const auto mask = hn::Set(tag, kMagnitude);
  auto most0 = hn::Zero(tag);
  auto most1 = hn::Zero(tag);
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    const auto bits0 = hn::BitCast(tag, hn::LoadU(value_tag, values + i));
    const auto bits1 = hn::BitCast(tag, hn::LoadU(value_tag, values + i + lanes));
    most0 = hn::Max(most0, hn::And(bits0, mask));
    most1 = hn::Max(most1, hn::And(bits1, mask));
  }
  HWY_ALIGN Bits columns[HWY_MAX_BYTES / sizeof(Bits)];
  hn::Store(hn::Max(most0, most1), tag, columns);
  largest = *std::max_element(columns, columns + lanes);
#endif
  for (; i < count; ++i) {
    const auto magnitude = static_cast<Bits>(std::bit_cast<Bits>(values[i]) & kMagnitude);
    largest = std::max(largest, magnitude);
  }
  return largest;
}

// The value of that magnitude.
float Largest(RealSpan values) {
  const auto magnitude = [](auto reals) HWY_ATTR {
    using Real = typename decltype(reals)::value_type;
    using Bits = std::conditional_t<sizeof(Real) == sizeof(uint32_t), uint32_t, uint16_t>;
    return reference::Widen(
        std::bit_cast<Real>(LargestMagnitude<Bits>(reals.data(), reals.size())));
  };
  return std::visit(magnitude, values);
}

}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vernier::quantizers {
namespace {

HWY_EXPORT(Largest);

// The rare second pass, over values of which some are not finite.
template <typename T>
Amax FiniteAmax(std::span<const T> values) {
  Amax amax{.finite = false};
  for (const T value : values) {
    const float magnitude = std::fabs(reference::Widen(value));
    if (std::isfinite(magnitude)) amax.value = std::max(amax.value, magnitude);
  }
  return amax;
}

}  // namespace

void Amax::Merge(const Amax& other) {
  value = std::max(value, other.value);
  finite = finite && other.finite;
}

Amax FindAmax(RealSpan values) {
  const float amax = HWY_DYNAMIC_DISPATCH(Largest)(values);
  if (std::isfinite(amax)) return {.value = amax};
  return std::visit([](auto reals) { return FiniteAmax(reals); }, values);
}

}  // namespace vernier::quantizers
#endif  // HWY_ONCE

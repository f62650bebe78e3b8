#include "quantizers/dot.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <variant>

#include "quantizers/dot_reference.h"

// clang-format off
#include "quantizers/simd_dispatch.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantizers/dot.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {
namespace {

using reference::kDotSums;

#if VERNIER_SCALAR_TARGET

template <typename Real>
float DotOf(std::span<const float> x, const Real* row) {
  return reference::Dot(x, std::span(row, x.size()));
}

#else

namespace hn = hwy::HWY_NAMESPACE;

// Four lanes on every target: the rows come from memory, and longer vectors would wait for them.
using Tag = hn::FixedTag<float, 4>;
using Vec = hn::Vec<Tag>;
constexpr size_t kLanes = 4;

HWY_INLINE Vec Load(const float* values) { return hn::LoadU(Tag(), values); }

HWY_INLINE Vec Load(const uint16_t* bf16) {
  const hn::Rebind<uint32_t, Tag> wide;
  const hn::Rebind<uint16_t, Tag> narrow;
  return hn::BitCast(Tag(), hn::ShiftLeft<16>(hn::PromoteTo(wide, hn::LoadU(narrow, bf16))));
}

// The sums of the definition.
struct Sums {
  Vec a, b, c, d;

  template <typename Real>
  HWY_INLINE void Add(const float* x, const Real* row) {
    a = hn::MulAdd(Load(x), Load(row), a);
    b = hn::MulAdd(Load(x + kLanes), Load(row + kLanes), b);
    c = hn::MulAdd(Load(x + 2 * kLanes), Load(row + 2 * kLanes), c);
    d = hn::MulAdd(Load(x + 3 * kLanes), Load(row + 3 * kLanes), d);
  }

  HWY_INLINE float Total() const {
    HWY_ALIGN float lanes[kLanes];
    hn::Store(hn::Add(hn::Add(a, c), hn::Add(b, d)), Tag(), lanes);
    return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
  }
};
static_assert(kDotSums == 4 * kLanes);

template <typename Real>
float DotOf(std::span<const float> x, const Real* row) {
  const size_t whole = x.size() / kDotSums * kDotSums, rest = x.size() - whole;
  const Vec zero = hn::Zero(Tag());
  Sums sums = {zero, zero, zero, zero};
  for (size_t k = 0; k < whole; k += kDotSums) sums.Add(x.data() + k, row + k);
  if (rest > 0) {  // zeros behind them change no sum
    float last_x[kDotSums] = {};
    Real last_row[kDotSums] = {};
    std::copy_n(x.data() + whole, rest, last_x);
    std::copy_n(row + whole, rest, last_row);
    sums.Add(last_x, last_row);
  }
  return sums.Total();
}

#endif  // VERNIER_SCALAR_TARGET

void Multiply(std::span<const float> x, RealSpan rows, std::span<float> products) {
  const auto multiply = [&](auto reals) HWY_ATTR {
    assert(reals.size() == x.size() * products.size());
    for (size_t i = 0; i < products.size(); ++i) {
      products[i] = DotOf(x, reals.data() + i * x.size());
    }
  };
  std::visit(multiply, rows);
}

}  // namespace
}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vernier::quantizers {
namespace {

HWY_EXPORT(Multiply);

}  // namespace

void MultiplyRows(std::span<const float> x, RealSpan rows, std::span<float> products) {
  HWY_DYNAMIC_DISPATCH(Multiply)(x, rows, products);
}

}  // namespace vernier::quantizers
#endif  // HWY_ONCE

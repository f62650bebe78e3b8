#include "quantizers/square_sums.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <variant>

#include "quantizers/bf16_reference.h"

// clang-format off
#include "quantizers/simd_dispatch.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantizers/square_sums.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {
namespace {

// Rows that a sum takes in between its load and its store.
constexpr size_t kRowsAtOnce = 8;

// Columns [begin, sums.size()) of `count` rows, one value at a time.
template <typename Real>
void AddColumns(const Real* rows, size_t count, size_t stride, size_t begin,
                std::span<double> sums) {
  for (size_t c = begin; c < sums.size(); ++c) {
    for (size_t r = 0; r < count; ++r) {
      const double x = reference::Widen(rows[r * stride + c]);
      sums[c] = std::fma(x, x, sums[c]);
    }
  }
}

#if VERNIER_SCALAR_TARGET

template <typename Real>
void AddRows(const Real* rows, size_t count, size_t stride, std::span<double> sums) {
  AddColumns(rows, count, stride, 0, sums);
}

#else

namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::ScalableTag<double>;
using Vec = hn::Vec<Tag>;

HWY_INLINE Vec Load(const float* values) {
  const hn::Rebind<float, Tag> narrow;
  return hn::PromoteTo(Tag(), hn::LoadU(narrow, values));
}

HWY_INLINE Vec Load(const uint16_t* bf16) {
  const hn::Rebind<uint16_t, Tag> narrow;
  const hn::Rebind<uint32_t, Tag> wide;
  const hn::Rebind<float, Tag> real;
  const auto bits = hn::ShiftLeft<16>(hn::PromoteTo(wide, hn::LoadU(narrow, bf16)));
  return hn::PromoteTo(Tag(), hn::BitCast(real, bits));
}

template <typename Real>
void AddRows(const Real* rows, size_t count, size_t stride, std::span<double> sums) {
  const size_t lanes = hn::Lanes(Tag()), whole = sums.size() / lanes * lanes;
  for (size_t c = 0; c < whole; c += lanes) {
    Vec sum = hn::LoadU(Tag(), sums.data() + c);
    for (size_t r = 0; r < count; ++r) {
      const Vec x = Load(rows + r * stride + c);
      sum = hn::MulAdd(x, x, sum);
    }
    hn::StoreU(sum, Tag(), sums.data() + c);
  }
  AddColumns(rows, count, stride, whole, sums);
}

#endif  // VERNIER_SCALAR_TARGET

void Add(RealSpan rows, size_t stride, std::span<double> sums) {
  const auto add = [&](auto reals) HWY_ATTR {
    if (reals.empty() || sums.empty()) return;
    assert(reals.size() >= sums.size() && (reals.size() - sums.size()) % stride == 0);
    const size_t count = (reals.size() - sums.size()) / stride + 1;
    for (size_t r = 0; r < count; r += kRowsAtOnce) {
      AddRows(reals.data() + r * stride, std::min(kRowsAtOnce, count - r), stride, sums);
    }
  };
  std::visit(add, rows);
}

}  // namespace
}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vernier::quantizers {
namespace {

HWY_EXPORT(Add);

}  // namespace

void AddSquares(RealSpan rows, size_t stride, std::span<double> sums) {
  HWY_DYNAMIC_DISPATCH(Add)(rows, stride, sums);
}

}  // namespace vernier::quantizers
#endif  // HWY_ONCE

#include "quantizers/outer_products.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <variant>

#include "quantizers/bf16_reference.h"

// clang-format off
#include "quantizers/simd_dispatch.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantizers/outer_products.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {
namespace {

#if VERNIER_SCALAR_TARGET

template <typename Real>
void AddBlock(const Real* rows, size_t count, size_t stride, float* sums) {
  for (size_t i = 0; i < kOuterBlock; ++i) {
    for (size_t j = i; j < kOuterBlock; ++j) {
      float& sum = sums[InOuterTriangle(i, j)];
      for (size_t r = 0; r < count; ++r) {
        const Real* row = rows + r * stride;
        sum = std::fma(reference::Widen(row[i]), reference::Widen(row[j]), sum);
      }
    }
  }
}

#else

namespace hn = hwy::HWY_NAMESPACE;

// Rows that are widened together, and those of a matrix that are summed together.
constexpr size_t kRowsAtOnce = 64;
constexpr size_t kSumsAtOnce = 8;

using Tag = hn::CappedTag<float, kOuterBlock>;
using Vec = hn::Vec<Tag>;

// Whole matrices while they are added to; below the diagonal they hold anything.
using Matrix = float[kOuterBlock * kOuterBlock];
using Rows = float[kRowsAtOnce * kOuterBlock];

template <typename Real>
HWY_INLINE void WidenRows(const Real* rows, size_t count, size_t stride, Rows& x) {
  for (size_t r = 0; r < count; ++r) {
    for (size_t i = 0; i < kOuterBlock; ++i) {
      x[r * kOuterBlock + i] = reference::Widen(rows[r * stride + i]);
    }
  }
}

// Rows [i, i + 8) of a matrix, columns from j on, a vector of them.
HWY_INLINE void AddPart(const Rows& x, size_t count, size_t i, size_t j, Matrix& matrix) {
  Vec sums[kSumsAtOnce];
  float* const part = matrix + i * kOuterBlock + j;
#pragma GCC unroll 8
  for (size_t k = 0; k < kSumsAtOnce; ++k) sums[k] = hn::Load(Tag(), part + k * kOuterBlock);
  for (size_t r = 0; r < count; ++r) {
    const float* row = x + r * kOuterBlock;
    const Vec columns = hn::Load(Tag(), row + j);
#pragma GCC unroll 8
    for (size_t k = 0; k < kSumsAtOnce; ++k) {
      sums[k] = hn::MulAdd(hn::Set(Tag(), row[i + k]), columns, sums[k]);
    }
  }
#pragma GCC unroll 8
  for (size_t k = 0; k < kSumsAtOnce; ++k) hn::Store(sums[k], Tag(), part + k * kOuterBlock);
}

template <typename Real>
void AddBlock(const Real* rows, size_t count, size_t stride, float* sums) {
  HWY_ALIGN Matrix matrix = {};
  HWY_ALIGN Rows x;
  for (size_t i = 0; i < kOuterBlock; ++i) {
    std::copy_n(sums + InOuterTriangle(i, i), kOuterBlock - i, matrix + i * (kOuterBlock + 1));
  }
  const size_t lanes = hn::Lanes(Tag());
  for (size_t r = 0; r < count; r += kRowsAtOnce) {
    const size_t some = std::min(kRowsAtOnce, count - r);
    WidenRows(rows + r * stride, some, stride, x);
    for (size_t j = 0; j < kOuterBlock; j += lanes) {
      for (size_t i = 0; i < j + lanes; i += kSumsAtOnce) AddPart(x, some, i, j, matrix);
    }
  }
  for (size_t i = 0; i < kOuterBlock; ++i) {
    std::copy_n(matrix + i * (kOuterBlock + 1), kOuterBlock - i, sums + InOuterTriangle(i, i));
  }
}

#endif  // VERNIER_SCALAR_TARGET

void AddOuter(RealSpan rows, size_t stride, std::span<float> sums) {
  const size_t blocks = sums.size() / kOuterTriangle, columns = blocks * kOuterBlock;
  assert(sums.size() % kOuterTriangle == 0 && columns <= stride);
  std::visit(
      [&](auto reals) HWY_ATTR {
        if (reals.empty() || blocks == 0) return;
        assert(reals.size() >= columns && (reals.size() - columns) % stride == 0);
        const size_t count = (reals.size() - columns) / stride + 1;
        for (size_t b = 0; b < blocks; ++b) {
          AddBlock(reals.data() + b * kOuterBlock, count, stride, sums.data() + b * kOuterTriangle);
        }
      },
      rows);
}

}  // namespace
}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vernier::quantizers {
namespace {

HWY_EXPORT(AddOuter);

}  // namespace

void AddOuterProducts(RealSpan rows, size_t stride, std::span<float> sums) {
  HWY_DYNAMIC_DISPATCH(AddOuter)(rows, stride, sums);
}

}  // namespace vernier::quantizers
#endif  // HWY_ONCE

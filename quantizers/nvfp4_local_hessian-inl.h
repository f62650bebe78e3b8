// The search of nvfp4_local_hessian.h on a group of blocks, one block per lane, once per target.
#if defined(VERNIER_QUANTIZERS_NVFP4_LOCAL_HESSIAN_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifndef VERNIER_QUANTIZERS_NVFP4_LOCAL_HESSIAN_INL_H_
#define VERNIER_QUANTIZERS_NVFP4_LOCAL_HESSIAN_INL_H_
#else
#undef VERNIER_QUANTIZERS_NVFP4_LOCAL_HESSIAN_INL_H_
#endif

#include <algorithm>
#include <span>

#include "quantizers/nvfp4_local_hessian.h"
#include "quantizers/nvfp4_search-inl.h"

#if !VERNIER_SCALAR_TARGET

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {

using FloatMask = hn::Mask<FloatTag>;

// Where element (i, j) of an upper triangle stands, i <= j.
constexpr size_t InTriangle(size_t i, size_t j) { return i * (2 * kColumns + 1 - i) / 2 + j - i; }
inline constexpr size_t kTriangle = kColumns * (kColumns + 1) / 2;

// The matrices of a group of blocks, one per lane.
struct LocalHessians {
  HWY_INLINE LocalHessians() {}
  FloatVec triangle[kTriangle];  // h_ii, and 2 * h_ij beside the diagonal
  FloatVec widths[kColumns];     // 1 / sqrt(share * h_ii)
  FloatVec reach;                // an upper bound of 6 * sqrt(sum |h_ij|)
};

// The lanes in which H - share * diag(H) is seen to be positive semidefinite: it has a
// factorisation L D L^T with D > 0, but for columns of zeros.
HWY_INLINE FloatMask AllowsShare(const FloatVec* triangle, FloatVec share) {
  FloatVec a[kTriangle];
  for (size_t i = 0; i < kColumns; ++i) {
    FloatVec* row = a + InTriangle(i, i) - i;
    row[i] = hn::NegMulAdd(triangle[InTriangle(i, i)], share, triangle[InTriangle(i, i)]);
    for (size_t j = i + 1; j < kColumns; ++j) {
      row[j] = hn::Mul(triangle[InTriangle(i, j)], SetFloat(0.5f));
    }
  }
  auto allowed = hn::Eq(share, share);
  for (size_t k = 0; k < kColumns; ++k) {
    const FloatVec* row = a + InTriangle(k, k) - k;
    FloatVec any = row[k];
    for (size_t j = k + 1; j < kColumns; ++j) any = hn::Or(any, row[j]);
    const auto positive = hn::Gt(row[k], SetFloat(kTinyError));
    allowed = hn::And(allowed, hn::Or(positive, hn::Eq(any, hn::Zero(FloatTag()))));
    const FloatVec inverse = hn::IfThenElseZero(positive, hn::Div(SetFloat(1.0f), row[k]));
    for (size_t i = k + 1; i < kColumns; ++i) {
      const FloatVec factor = hn::Mul(row[i], inverse);
      FloatVec* target = a + InTriangle(i, i) - i;
      for (size_t j = i; j < kColumns; ++j) target[j] = hn::NegMulAdd(factor, row[j], target[j]);
    }
  }
  return allowed;
}

// A lower bound of the largest share, by bisection.
HWY_INLINE FloatVec LargestShare(const FloatVec* triangle) {
  FloatVec share = hn::Zero(FloatTag());
  for (float step = 0.5f; step >= kShareStep; step *= 0.5f) {
    const FloatVec more = hn::Add(share, SetFloat(step));
    share = hn::IfThenElse(AllowsShare(triangle, more), more, share);
  }
  return hn::Mul(share, SetFloat(1.0f - kShareMargin));
}

// Puts row i of the matrices of `count` blocks into lanes; the other lanes get 0.
HWY_INLINE void LoadRows(const float* matrices, size_t count, size_t i, FloatVec* columns) {
  HWY_ALIGN float rows[kGroupValues] = {};
  for (size_t block = 0; block < count; ++block) {
    std::copy_n(matrices + (block * kColumns + i) * kColumns, kColumns, rows + block * kColumns);
  }
  LoadGroup(rows, columns);
}

HWY_INLINE void ReplaceZeroByIdentity(FloatVec* triangle) {
  FloatVec most = hn::Zero(FloatTag());
  for (size_t i = 0; i < kColumns; ++i) {
    most = hn::Max(most, hn::Abs(triangle[InTriangle(i, i)]));
  }
  const auto is_zero = hn::Eq(most, hn::Zero(FloatTag()));
  for (size_t i = 0; i < kColumns; ++i) {
    for (size_t j = i; j < kColumns; ++j) {
      FloatVec& element = triangle[InTriangle(i, j)];
      element = hn::IfThenElse(is_zero, SetFloat(i == j ? 1.0f : 0.0f), element);
    }
  }
}

// Loads the matrices of `count` blocks; null stands for zeros.
HWY_INLINE void LoadLocalHessians(const float* matrices, size_t count, LocalHessians& hessians) {
  for (size_t i = 0; i < kColumns; ++i) {
    FloatVec columns[kColumns];
    LoadRows(matrices, matrices == nullptr ? 0 : count, i, columns);
    hessians.triangle[InTriangle(i, i)] = columns[i];
    for (size_t j = i + 1; j < kColumns; ++j) {
      hessians.triangle[InTriangle(i, j)] = hn::Add(columns[j], columns[j]);
    }
  }
  ReplaceZeroByIdentity(hessians.triangle);
  FloatVec sum = hn::Zero(FloatTag());
  for (const FloatVec element : hessians.triangle) sum = hn::Add(sum, hn::Abs(element));
  hessians.reach = hn::Mul(hn::Sqrt(sum), SetFloat(kE2m1Max * (1.0f + kBoundMargin)));
  const FloatVec share = LargestShare(hessians.triangle);
  for (size_t i = 0; i < kColumns; ++i) {
    const FloatVec weight = hn::Mul(hessians.triangle[InTriangle(i, i)], share);
    hessians.widths[i] = hn::Sqrt(hn::Div(SetFloat(1.0f), weight));
  }
}

inline constexpr size_t kRows = 8;

// Adds t_i * e_i of kRows rows to a quadratic form. Their sums go side by side, since each waits
// for its own last term.
template <size_t kFirst>
HWY_INLINE FloatVec AddRows(const FloatVec* triangle, const FloatVec* e, FloatVec sum) {
  FloatVec t[kRows];
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
    t[r] = hn::Mul(triangle[InTriangle(kFirst + r, kFirst + r)], e[kFirst + r]);
  }
#pragma GCC unroll 16
  for (size_t j = kFirst + 1; j < kColumns; ++j) {
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
      if (kFirst + r < j) t[r] = hn::MulAdd(triangle[InTriangle(kFirst + r, j)], e[j], t[r]);
    }
  }
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) sum = hn::MulAdd(t[r], e[kFirst + r], sum);
  return sum;
}

// e^T H e.
HWY_INLINE FloatVec QuadraticForm(const FloatVec* triangle, const FloatVec* e) {
  const FloatVec upper = AddRows<0>(triangle, e, hn::Zero(FloatTag()));
  return AddRows<kRows>(triangle, e, upper);
}

// A group of blocks to be searched, one per lane.
struct LocalHessianGroup {
  HWY_INLINE LocalHessianGroup() {}
  const LocalHessians* hessians;
  const FloatVec* values;     // [kColumns]
  FloatVec scaled[kColumns];  // values / global_scale
  FloatVec global_scale;
};

// kSaturate: for every code; without, for those with amax < 7 * E4M3(code) * global_scale.
template <bool kSaturate>
HWY_INLINE FloatVec ErrorOf(const LocalHessianGroup& group, U32Vec codes) {
  const FloatVec step = E4m3Magnitudes(codes);
  const FloatVec scale = hn::Mul(step, group.global_scale);
  const FloatVec reciprocal = hn::Div(SetFloat(1.0f), scale);
  const FloatVec largest = hn::Mul(scale, SetFloat(kE2m1Max));
  FloatVec e[kColumns];
#pragma GCC unroll 16
  for (size_t i = 0; i < kColumns; ++i) {
    FloatVec x = group.values[i];
    if constexpr (kSaturate) x = hn::Max(hn::Min(x, largest), hn::Neg(largest));
    const FloatVec nearest = NearestE2m1(RefinedQuotient(x, scale, reciprocal));
    e[i] = hn::NegMulAdd(nearest, step, group.scaled[i]);
  }
  return QuadraticForm(group.hessians->triangle, e);
}

// Scales below this one, in units of global_scale, have errors above `error`.
HWY_INLINE FloatVec LowestScale(const LocalHessianGroup& group, FloatVec error) {
  const LocalHessians& hessians = *group.hessians;
  FloatVec energy = hn::Zero(FloatTag());
  FloatVec excess = hn::Zero(FloatTag());
  const FloatVec root = hn::Sqrt(error);
  for (size_t i = 0; i < kColumns; ++i) {
    const FloatVec x = group.scaled[i];
    energy = hn::MulAdd(hn::Mul(hessians.triangle[InTriangle(i, i)], x), x, energy);
    const FloatVec magnitude = hn::Mul(hn::Abs(x), SetFloat(1.0f - kBoundMargin));
    excess = hn::Max(excess, hn::NegMulAdd(hessians.widths[i], root, magnitude));
  }
  const FloatVec by_share = hn::Mul(excess, SetFloat(1.0f / kE2m1Max));
  const FloatVec slack = hn::Mul(energy, SetFloat(kEnergyMargin));
  const FloatVec form = hn::Sub(QuadraticForm(hessians.triangle, group.scaled), slack);
  const FloatVec norm = hn::Sqrt(hn::Max(form, hn::Zero(FloatTag())));
  const FloatVec by_norm =
      hn::Div(hn::MulSub(norm, SetFloat(1.0f - kBoundMargin), hn::Sqrt(hn::Add(error, slack))),
              hessians.reach);
  return hn::Max(by_share, by_norm);
}

// The rule's codes plus `up`, as far as there are such codes.
HWY_INLINE U32Vec CodesAbove(U32Vec rule, int up) {
  const I32Tag tag;
  const auto codes = hn::Add(hn::BitCast(tag, rule), hn::Set(tag, up));
  const auto positive = hn::Max(codes, hn::Set(tag, kMinScaleCode));
  return hn::BitCast(U32Tag(), hn::Min(positive, hn::Set(tag, kMaxScaleCode)));
}

// Offers the code that is `up` above the rule's.
template <bool kSaturate>
HWY_INLINE void Offer(const LocalHessianGroup& group, U32Vec rule, int up, BestCodes& best) {
  const U32Vec codes = CodesAbove(rule, up);
  best.Offer(codes, ErrorOf<kSaturate>(group, codes));
}

// `keeps_rule`: the lanes that are not searched.
HWY_INLINE U32Vec SearchLocalHessian(const LocalHessianGroup& group, U32Vec rule,
                                     FloatMask keeps_rule) {
  BestCodes best(rule);
  int up = kCodesAboveRule;
  // The rule's code, if normal, is at most 1/16 too small for amax.
  if (hn::AllTrue(U32Tag(), hn::Gt(rule, SetU32(7)))) {
    for (; up >= 0; --up) Offer<false>(group, rule, up, best);
  }
  for (; up >= -kUncheckedBelowRule; --up) Offer<true>(group, rule, up, best);
  const FloatVec least = hn::Max(best.Errors(), SetFloat(kTinyError));
  const FloatVec lowest = LowestScale(group, least);
  for (; up > -kMaxScaleCode; --up) {
    const auto is_below = hn::Lt(E4m3Magnitudes(CodesAbove(rule, up)), lowest);
    if (hn::AllTrue(FloatTag(), hn::Or(is_below, keeps_rule))) break;
    Offer<true>(group, rule, up, best);
  }
  return hn::IfThenElse(hn::RebindMask(U32Tag(), keeps_rule), rule, best.Codes());
}

}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // !VERNIER_SCALAR_TARGET

#endif  // per-target include guard

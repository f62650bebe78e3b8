// The searches of nvfp4_search.h on a group of blocks, one block per lane, once per target.
#if defined(VERNIER_QUANTIZERS_NVFP4_SEARCH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifndef VERNIER_QUANTIZERS_NVFP4_SEARCH_INL_H_
#define VERNIER_QUANTIZERS_NVFP4_SEARCH_INL_H_
#else
#undef VERNIER_QUANTIZERS_NVFP4_SEARCH_INL_H_
#endif

#include <array>
#include <bit>
#include <limits>

#include "quantizers/nvfp4_search.h"
#include "quantizers/simd_blocks-inl.h"

#if !VERNIER_SCALAR_TARGET

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {

// RN of the distance of q = magnitude * reciprocal, the exact product, to the nearest E2M1
// magnitude, but for its sign. With kSaturate for every q; without for q <= 7.
#if HWY_TARGET == HWY_AVX3
// A sum just below 2^21 rounds to quarters, so that its low bits count those of q: an index to the
// nearest magnitude, from 32 of them. Of q < 1/16 the index is 31, which q <= 7 needs for nothing
// else.
template <bool kSaturate>
HWY_INLINE FloatVec Distance(FloatVec magnitude, FloatVec reciprocal) {
  alignas(64) static constexpr float kNearest[32] = {0, 0.5f, 0.5f, 1, 1, 1.5f, 1.5f, 2, 2, 2, 3,
                                                     3, 3,    3,    4, 4, 4,    4,    4, 4, 6, 6,
                                                     6, 6,    6,    6, 6, 6,    6,    6, 6, 0};
  FloatVec quarters = hn::MulAdd(magnitude, reciprocal, SetFloat(0x1p21f - 0.125f));
  if constexpr (kSaturate) quarters = hn::Min(quarters, SetFloat(0x1p21f + 7.5f));
  const __m512 nearest = _mm512_permutex2var_ps(
      _mm512_load_ps(kNearest), hn::BitCast(hn::RebindToSigned<U32Tag>(), quarters).raw,
      _mm512_load_ps(kNearest + 16));
  return hn::NegMulAdd(magnitude, reciprocal, FloatVec{nearest});
}
#else
// For m = max(RN(q), 1.5), the unit in the last place of m * 2^22 is the step of E2M1 at q, and
// m * 2^22 is a multiple of it: q - m * 2^22 rounds to the nearest magnitude minus m * 2^22.
template <bool kSaturate>
HWY_INLINE FloatVec Distance(FloatVec magnitude, FloatVec reciprocal) {
  const FloatVec shifted =
      hn::Max(hn::Mul(magnitude, hn::Mul(reciprocal, SetFloat(0x1p22f))), SetFloat(1.5f * 0x1p22f));
  FloatVec nearest = hn::Add(hn::MulSub(magnitude, reciprocal, shifted), shifted);
  if constexpr (kSaturate) nearest = hn::Min(nearest, SetFloat(kE2m1Max));
  return hn::NegMulAdd(magnitude, reciprocal, nearest);
}
#endif

// RN(1 / E4M3(code)) for codes 8..126. Eight codes further the reciprocal is half as large, which
// subtracting the code from the exponent does; the table makes up for the code's lower bits.
HWY_INLINE FloatVec NormalReciprocals(U32Vec codes) {
  if constexpr (kGroup < 8) {
    return hn::Div(SetFloat(1.0f), NormalE4m3Magnitudes(codes));
  } else {
    HWY_ALIGN static constexpr auto kTable = [] {
      std::array<uint32_t, kGroup> table{};
      for (uint32_t i = 0; i < kGroup; ++i) {
        const uint32_t code = 8 + i % 8;
        table[i] = std::bit_cast<uint32_t>(kE4m3Reciprocals[code]) + (code << 20);
      }
      return table;
    }();
    const auto index = hn::IndicesFromVec(U32Tag(), hn::And(codes, SetU32(7)));
    const U32Vec sums = hn::TableLookupLanes(hn::Load(U32Tag(), kTable.data()), index);
    return AsFloat(hn::Sub(sums, hn::ShiftLeft<20>(codes)));
  }
}

// RN(1 / E4M3(code)) * RN(1 / global_scale).
HWY_INLINE FloatVec Reciprocals(U32Vec codes, FloatVec inverse_global) {
  const bool normal = hn::AllTrue(U32Tag(), hn::Gt(codes, SetU32(7)));
  const FloatVec reciprocals =
      normal ? NormalReciprocals(codes) : hn::Div(SetFloat(1.0f), E4m3Magnitudes(codes));
  return hn::Mul(reciprocals, inverse_global);
}

HWY_INLINE FloatVec TimesSquare(FloatVec sum, U32Vec codes) {
  const FloatVec scale = E4m3Magnitudes(codes);
  return hn::Mul(sum, hn::Mul(scale, scale));
}

// A group of blocks to be searched, one per lane.
struct SearchedGroup {
  const FloatVec* magnitudes;  // [kColumns]
  const FloatVec* weights;     // [kColumns], or null for 1
  FloatVec amax;
  FloatVec quotient;  // reference::Nvfp4Quotient(amax, 6, global_scale)
  FloatVec inverse_global;
};

// The smallest error so far, per lane. Codes but the rule's must be offered in falling order.
class BestCodes {
 public:
  using Mask = hn::Mask<FloatTag>;

  explicit HWY_INLINE BestCodes(U32Vec rule)
      : rule_(rule), codes_(rule), errors_(Infinity()), rule_errors_(Infinity()) {}

  HWY_INLINE void Offer(U32Vec codes, FloatVec errors) {
    Take(codes, errors, hn::Le(errors, errors_));
  }
  HWY_INLINE void OfferExcept(Mask done, U32Vec codes, FloatVec errors) {
    Take(codes, errors, hn::AndNot(done, hn::Le(errors, errors_)));
  }

  // The lanes that no code with at least these errors would change: ties go to the rule.
  HWY_INLINE Mask Settled(FloatVec errors) const {
    const auto rule_wins = hn::And(RuleIsBest(), hn::Ge(errors, errors_));
    return hn::Or(hn::Gt(errors, errors_), rule_wins);
  }

  HWY_INLINE FloatVec Errors() const { return errors_; }
  HWY_INLINE U32Vec Codes() const {
    return hn::IfThenElse(hn::RebindMask(U32Tag(), RuleIsBest()), rule_, codes_);
  }

 private:
  static HWY_INLINE FloatVec Infinity() { return SetFloat(std::numeric_limits<float>::infinity()); }
  HWY_INLINE Mask RuleIsBest() const { return hn::Le(rule_errors_, errors_); }

  HWY_INLINE void Take(U32Vec codes, FloatVec errors, Mask better) {
    codes_ = hn::IfThenElse(hn::RebindMask(U32Tag(), better), codes, codes_);
    errors_ = hn::IfThenElse(better, errors, errors_);
    const auto is_rule = hn::RebindMask(FloatTag(), hn::Eq(codes, rule_));
    rule_errors_ = hn::IfThenElse(is_rule, errors, rule_errors_);
  }

  U32Vec rule_;
  U32Vec codes_;
  FloatVec errors_;
  FloatVec rule_errors_;
};

HWY_INLINE FloatVec ErrorOf(const SearchedGroup& group, U32Vec codes) {
  const FloatVec reciprocal = Reciprocals(codes, group.inverse_global);
  FloatVec sum = hn::Zero(FloatTag());
  for (size_t i = 0; i < kColumns; ++i) {
    const FloatVec d = Distance<true>(group.magnitudes[i], reciprocal);
    sum = hn::MulAdd(group.weights == nullptr ? d : hn::Mul(group.weights[i], d), d, sum);
  }
  return TimesSquare(sum, codes);
}

// The largest part of a code's error that is one saturated value's; without weights, amax's.
HWY_INLINE FloatVec SaturationCost(const SearchedGroup& group, U32Vec codes) {
  const FloatVec reciprocal = Reciprocals(codes, group.inverse_global);
  const auto excess = [&](FloatVec magnitude) HWY_ATTR {
    const FloatVec difference = hn::MulSub(magnitude, reciprocal, SetFloat(kE2m1Max));
    return hn::Max(difference, hn::Zero(FloatTag()));
  };
  FloatVec most = hn::Mul(excess(group.amax), excess(group.amax));
  if (group.weights != nullptr) {
    most = hn::Zero(FloatTag());
    for (size_t i = 0; i < kColumns; ++i) {
      const FloatVec e = excess(group.magnitudes[i]);
      most = hn::Max(most, hn::Mul(hn::Mul(group.weights[i], e), e));
    }
  }
  return TimesSquare(most, codes);
}

// Offers the codes from `start` on downwards, the first `unchecked` to every lane, the others to
// those lanes whose search has not ended.
HWY_INLINE void OfferDownwards(const SearchedGroup& group, U32Vec start, int unchecked,
                               BestCodes& best) {
  const hn::RebindToSigned<U32Tag> tag;
  auto done = hn::MaskFromVec(hn::Zero(FloatTag()));
  for (int down = 0; down < kMaxScaleCode; ++down) {
    const auto code = hn::Sub(hn::BitCast(tag, start), hn::Set(tag, down));
    const U32Vec codes = hn::BitCast(U32Tag(), hn::Max(code, hn::Set(tag, kMinScaleCode)));
    if (down >= unchecked) done = hn::Or(done, best.Settled(SaturationCost(group, codes)));
    if (hn::AllTrue(FloatTag(), done)) return;
    best.OfferExcept(done, codes, ErrorOf(group, codes));
  }
}

// The codes between amax / 3.5 and amax / 7, and the next, which is seldom out of the question.
inline constexpr int kPlainCodes = 9;
inline constexpr int kCodesWithoutSaturation = 7;
// From here on all of them are normal.
inline constexpr float kMinPlainQuotient = 0x1p-5f;

// Offers kCount codes from `start` - kFirst on downwards, all of them normal.
template <bool kWeighted, int kFirst, int kCount>
HWY_INLINE void OfferSome(const SearchedGroup& group, U32Vec start, BestCodes& best) {
  FloatVec reciprocals[kCount];
  FloatVec sums[kCount];
  for (int k = 0; k < kCount; ++k) {
    const U32Vec codes = hn::Sub(start, SetU32(static_cast<uint32_t>(kFirst + k)));
    reciprocals[k] = hn::Mul(NormalReciprocals(codes), group.inverse_global);
    sums[k] = hn::Zero(FloatTag());
  }
  for (size_t i = 0; i < kColumns; ++i) {
    const FloatVec magnitude = group.magnitudes[i];
#pragma GCC unroll 9
    for (int k = 0; k < kCount; ++k) {
      const FloatVec d = kFirst + k < kCodesWithoutSaturation
                             ? Distance<false>(magnitude, reciprocals[k])
                             : Distance<true>(magnitude, reciprocals[k]);
      sums[k] = hn::MulAdd(kWeighted ? hn::Mul(group.weights[i], d) : d, d, sums[k]);
    }
  }
  for (int k = 0; k < kCount; ++k) {
    const U32Vec codes = hn::Sub(start, SetU32(static_cast<uint32_t>(kFirst + k)));
    const FloatVec scale = NormalE4m3Magnitudes(codes);
    best.Offer(codes, hn::Mul(sums[k], hn::Mul(scale, scale)));
  }
}

// Offers the first kPlainCodes codes, as many at once as the registers hold.
template <bool kWeighted>
HWY_INLINE void OfferPlain(const SearchedGroup& group, U32Vec start, BestCodes& best) {
  if constexpr (kGroup == 16) {
    OfferSome<kWeighted, 0, kPlainCodes>(group, start, best);
  } else {
    OfferSome<kWeighted, 0, 3>(group, start, best);
    OfferSome<kWeighted, 3, 3>(group, start, best);
    OfferSome<kWeighted, 6, kPlainCodes - 6>(group, start, best);
  }
}

HWY_INLINE U32Vec SearchMse(const SearchedGroup& group, U32Vec rule) {
  BestCodes best(rule);
  const FloatVec highest = hn::Mul(group.quotient, SetFloat(kSearchStartFactor));
  const auto in_range = hn::And(hn::Ge(group.quotient, SetFloat(kMinPlainQuotient)),
                                hn::Le(highest, SetFloat(kE4m3Max)));
  if (hn::AllTrue(FloatTag(), in_range)) {
    const U32Vec start = TruncatedE4m3Codes(highest);
    if (group.weights == nullptr) {
      OfferPlain<false>(group, start, best);
    } else {
      OfferPlain<true>(group, start, best);
    }
    OfferDownwards(group, hn::Sub(start, SetU32(kPlainCodes)), 0, best);
    return best.Codes();
  }
  const U32Vec above = hn::Add(E4m3Codes(hn::Min(highest, SetFloat(kE4m3Max))), SetU32(1));
  const U32Vec start = hn::Min(hn::Max(above, SetU32(kMinSearchStart)), SetU32(kMaxScaleCode));
  // Far beyond the largest scale errors differ by no more than rounding: what the definition does
  // not look at must not be offered.
  const bool saturates = !hn::AllTrue(FloatTag(), hn::Lt(group.quotient, SetFloat(kE4m3Max)));
  if (saturates) best.Offer(rule, ErrorOf(group, rule));
  OfferDownwards(group, start, saturates ? 0 : kPlainCodes, best);
  return best.Codes();
}

// `four` where its error is smaller than that of `six`.
HWY_INLINE U32Vec SearchFourOverSix(const SearchedGroup& group, U32Vec six, U32Vec four) {
  const auto better = hn::Lt(ErrorOf(group, four), ErrorOf(group, six));
  return hn::IfThenElse(hn::RebindMask(U32Tag(), better), four, six);
}

}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // !VERNIER_SCALAR_TARGET

#endif  // per-target include guard

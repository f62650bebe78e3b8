// One block of nvfp4_gptq.h on a group of rows, one row per lane, once per target.
//
// The candidates' passes over the block go side by side: each is one long chain, and as many as
// there are candidates keep the processor busy. What a value has to be compensated for is added
// when its turn comes, which gives the bytes of adding it as the errors arise, without a store for
// each.
#if defined(VERNIER_QUANTIZERS_NVFP4_GPTQ_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifndef VERNIER_QUANTIZERS_NVFP4_GPTQ_INL_H_
#define VERNIER_QUANTIZERS_NVFP4_GPTQ_INL_H_
#else
#undef VERNIER_QUANTIZERS_NVFP4_GPTQ_INL_H_
#endif

#include <algorithm>
#include <limits>

#include "quantizers/nvfp4_encode-inl.h"
#include "quantizers/nvfp4_gptq.h"
#include "quantizers/nvfp4_search.h"

#if !VERNIER_SCALAR_TARGET

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {

inline constexpr size_t kGptqRule = kGptqCodesBelowRule;  // which candidate has the rule's code
inline constexpr size_t kGptqCandidates = kGptqRule + 1 + kGptqCodesAboveRule;

// The part of U that belongs to a block, by rows.
struct GptqFactor {
  GptqFactor(const float* diagonal, size_t columns) {
    for (size_t i = 0; i < kColumns; ++i) {
      std::copy_n(diagonal + i * columns, kColumns, elements + i * kColumns);
      inverses[i] = 1.0f / elements[i * kColumns + i];
    }
  }
  float elements[kColumns * kColumns];
  float inverses[kColumns];
};

// A block of the rows of a group. In: values. Out: the rest.
struct GptqGroup {
  HWY_INLINE GptqGroup() {}
  FloatVec values[kColumns];  // w, by position
  FloatVec errors[kColumns];  // err
  U32Vec nibbles[kColumns];
  U32Vec codes;
};

struct GptqCandidates {
  HWY_INLINE GptqCandidates() {}
  FloatVec scales[kGptqCandidates];
  FloatVec reciprocals[kGptqCandidates];
  FloatVec largest[kGptqCandidates];
  FloatVec errors[kColumns][kGptqCandidates];
};

// The codes of the candidates with these indices.
HWY_INLINE U32Vec GptqCodes(U32Vec rule, U32Vec index) {
  const I32Tag tag;
  const auto above = hn::BitCast(tag, hn::Sub(hn::Add(rule, index), SetU32(kGptqRule)));
  const auto positive = hn::Max(above, hn::Set(tag, kMinScaleCode));
  return hn::BitCast(U32Tag(), hn::Min(positive, hn::Set(tag, kMaxScaleCode)));
}

HWY_INLINE U32Vec GptqRuleCodes(const FloatVec* values, float global_scale) {
  FloatVec magnitudes[kColumns];
  for (size_t i = 0; i < kColumns; ++i) magnitudes[i] = Magnitude(values[i]);
  return E4m3Codes(Quotient(BlockAmax(magnitudes), kE2m1Max, global_scale));
}

HWY_INLINE void MakeGptqCandidates(U32Vec rule, float global_scale, GptqCandidates& candidates) {
  for (size_t c = 0; c < kGptqCandidates; ++c) {
    const U32Vec codes = GptqCodes(rule, SetU32(static_cast<uint32_t>(c)));
    const FloatVec scale = hn::Mul(E4m3Magnitudes(codes), SetFloat(global_scale));
    candidates.scales[c] = scale;
    candidates.reciprocals[c] = hn::Div(SetFloat(1.0f), scale);
    candidates.largest[c] = hn::Mul(scale, SetFloat(kE2m1Max));
  }
}

// The errors of position k for all candidates, given those before.
HWY_INLINE void FindGptqErrors(const GptqFactor& factor, FloatVec value, size_t k,
                               GptqCandidates& candidates) {
  FloatVec v[kGptqCandidates];
#pragma GCC unroll 12
  for (size_t c = 0; c < kGptqCandidates; ++c) v[c] = value;
  for (size_t i = 0; i < k; ++i) {
    const FloatVec u = SetFloat(factor.elements[i * kColumns + k]);
#pragma GCC unroll 12
    for (size_t c = 0; c < kGptqCandidates; ++c) {
      v[c] = hn::NegMulAdd(candidates.errors[i][c], u, v[c]);
    }
  }
  const FloatVec inverse = SetFloat(factor.inverses[k]);
#pragma GCC unroll 12
  for (size_t c = 0; c < kGptqCandidates; ++c) {
    const FloatVec scale = candidates.scales[c];
    const FloatVec largest = candidates.largest[c];
    const FloatVec clamped = hn::Max(hn::Min(v[c], largest), hn::Neg(largest));
    const FloatVec n = NearestE2m1(RefinedQuotient(clamped, scale, candidates.reciprocals[c]));
    candidates.errors[k][c] = hn::Mul(hn::NegMulAdd(n, scale, v[c]), inverse);
  }
}

// The index of the best candidate, and whether it has a finite cost.
struct GptqChoice {
  HWY_INLINE GptqChoice(U32Vec i, hn::Mask<FloatTag> f) : index(i), finite(f) {}
  U32Vec index;
  hn::Mask<FloatTag> finite;
};

HWY_INLINE GptqChoice ChooseGptqCandidate(const GptqCandidates& candidates) {
  FloatVec costs[kGptqCandidates];
#pragma GCC unroll 12
  for (size_t c = 0; c < kGptqCandidates; ++c) costs[c] = hn::Zero(FloatTag());
  for (size_t i = 0; i < kColumns; ++i) {
#pragma GCC unroll 12
    for (size_t c = 0; c < kGptqCandidates; ++c) {
      costs[c] = hn::MulAdd(candidates.errors[i][c], candidates.errors[i][c], costs[c]);
    }
  }
  const FloatVec infinity = SetFloat(std::numeric_limits<float>::infinity());
  // Of equals, the first one stays; NaN and infinity are not less.
  FloatVec least = hn::IfThenElse(hn::Lt(costs[kGptqRule], infinity), costs[kGptqRule], infinity);
  U32Vec index = SetU32(kGptqRule);
  for (size_t c = 0; c < kGptqCandidates; ++c) {
    const auto better = hn::Lt(costs[c], least);
    least = hn::IfThenElse(better, costs[c], least);
    index =
        hn::IfThenElse(hn::RebindMask(U32Tag(), better), SetU32(static_cast<uint32_t>(c)), index);
  }
  return GptqChoice(index, hn::Lt(least, infinity));
}

// Takes over the errors of the chosen candidates.
HWY_INLINE void TakeGptqErrors(const GptqCandidates& candidates, const GptqChoice& choice,
                               FloatVec* errors) {
  hn::Mask<FloatTag> chosen[kGptqCandidates];
#pragma GCC unroll 12
  for (size_t c = 0; c < kGptqCandidates; ++c) {
    const auto is_index = hn::Eq(choice.index, SetU32(static_cast<uint32_t>(c)));
    chosen[c] = hn::RebindMask(FloatTag(), is_index);
  }
  for (size_t i = 0; i < kColumns; ++i) {
    FloatVec error = candidates.errors[i][0];
#pragma GCC unroll 12
    for (size_t c = 1; c < kGptqCandidates; ++c) {
      error = hn::IfThenElse(chosen[c], candidates.errors[i][c], error);
    }
    errors[i] = hn::IfThenElseZero(choice.finite, error);
  }
}

// The nibbles that the errors are those of.
HWY_INLINE void EncodeGptq(const GptqFactor& factor, FloatVec scale, GptqGroup& group) {
  const Encoder encode(scale);
  for (size_t k = 0; k < kColumns; ++k) {
    FloatVec v = group.values[k];
    for (size_t i = 0; i < k; ++i) {
      v = hn::NegMulAdd(group.errors[i], SetFloat(factor.elements[i * kColumns + k]), v);
    }
    group.nibbles[k] = hn::And(encode(v, Magnitude(v)), SetU32(0xF));
  }
}

HWY_INLINE void QuantizeGptqGroup(const GptqFactor& factor, float global_scale, GptqGroup& group) {
  const U32Vec rule = GptqRuleCodes(group.values, global_scale);
  GptqCandidates candidates;
  MakeGptqCandidates(rule, global_scale, candidates);
  for (size_t k = 0; k < kColumns; ++k) {
    FindGptqErrors(factor, group.values[k], k, candidates);
  }
  const GptqChoice choice = ChooseGptqCandidate(candidates);
  TakeGptqErrors(candidates, choice, group.errors);
  group.codes = GptqCodes(rule, choice.index);
  EncodeGptq(factor, hn::Mul(E4m3Magnitudes(group.codes), SetFloat(global_scale)), group);
}

}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // !VERNIER_SCALAR_TARGET

#endif  // per-target include guard

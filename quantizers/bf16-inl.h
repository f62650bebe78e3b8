// What the kernels of several formats share, once per target: loading pairs of columns from F32 or
// BF16, the largest magnitude of a run, and an exact quotient. The scalar definitions are compiled
// without AVX; entering them between vector instructions stalls the processor, so that kernels call
// them only for what does not fill a vector.
#if defined(VERNIER_QUANTIZERS_BF16_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifndef VERNIER_QUANTIZERS_BF16_INL_H_
#define VERNIER_QUANTIZERS_BF16_INL_H_
#else
#undef VERNIER_QUANTIZERS_BF16_INL_H_
#endif

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "quantizers/bf16_reference.h"
#include "quantizers/simd_formats-inl.h"

#if !VERNIER_SCALAR_TARGET

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Even columns and the odd columns next to them. Always initialised: GCC compiles an implicit
// default constructor without the target's instructions, and rejects it where vectors have one of
// their own.
struct ColumnPairs {
  FloatVec even;
  FloatVec odd;
};

// Columns that a ColumnPairs holds.
HWY_INLINE size_t PairColumns() { return 2 * hn::Lanes(U32Tag()); }

HWY_INLINE ColumnPairs LoadPairs(const uint16_t* bf16) {
  const U32Vec pairs = hn::BitCast(U32Tag(), hn::LoadU(hn::Repartition<uint16_t, U32Tag>(), bf16));
  return {EvenBf16(pairs), OddBf16(pairs)};
}

HWY_INLINE ColumnPairs LoadPairs(const float* values) {
  FloatVec even;
  FloatVec odd;
  hn::LoadInterleaved2(FloatTag(), values, even, odd);
  return {even, odd};
}

HWY_INLINE void StorePairs(const ColumnPairs& pairs, uint16_t* bf16) {
  const hn::Repartition<uint16_t, U32Tag> tag;
  hn::StoreU(hn::BitCast(tag, PackBf16(pairs.even, pairs.odd)), tag, bf16);
}

HWY_INLINE void StorePairs(const ColumnPairs& pairs, float* values) {
  hn::StoreInterleaved2(pairs.even, pairs.odd, FloatTag(), values);
}

// `scale`, or the plain NaN for any NaN: with other payloads rounding to BF16 could leave the NaNs.
HWY_INLINE float WithoutPayload(float scale) {
  return scale == scale ? scale : std::bit_cast<float>(0x7FC0'0000u);
}

HWY_INLINE U32Vec Magnitudes(FloatVec values) {
  return hn::And(AsBits(values), SetU32(reference::kMagnitudeMask));
}

// Raises the lanes of `amax` to the magnitudes of as many values as fill vectors.
template <typename Real>
HWY_INLINE U32Vec RaiseAmax(const Real* values, size_t count, U32Vec amax) {
  const size_t step = PairColumns();
  for (size_t i = 0; i + step <= count; i += step) {
    const ColumnPairs pairs = LoadPairs(values + i);
    amax = hn::Max(amax, hn::Max(Magnitudes(pairs.even), Magnitudes(pairs.odd)));
  }
  return amax;
}

// As reference::AmaxBits, over `rows` rows of `count` values that begin `stride` values apart.
template <typename Real>
HWY_INLINE uint32_t AmaxBits(const Real* values, size_t count, size_t rows = 1, size_t stride = 0) {
  U32Vec lanes = SetU32(0);
  for (size_t row = 0; row < rows; ++row) lanes = RaiseAmax(values + row * stride, count, lanes);
  uint32_t amax = hn::GetLane(hn::MaxOfLanes(U32Tag(), lanes));
  const size_t rest = count % PairColumns();
  if (rest == 0) return amax;
  for (size_t row = 0; row < rows; ++row) {
    amax = std::max(amax, reference::AmaxBits(values + row * stride + count - rest, rest));
  }
  return amax;
}

// RN(magnitude / scale) for bits of magnitudes, not above `max_quotient` (a power of two; NaN
// counts as it). Away from the ends of F32's range the division is a multiplication by
// r = RN(1 / scale) and two corrections by the remainder: the first leaves an error below one unit
// in the last place, from where the second rounds correctly (Markstein, IBM J. Res. Dev. 34, 1990).
// Quotients below 2^-20 may be off in their last place, which no format here resolves.
class Divider {
 public:
  Divider(float scale, float max_quotient)
      : scale_(SetFloat(scale)),
        reciprocal_(SetFloat(1.0f / scale)),
        limit_(SetU32(std::bit_cast<uint32_t>(scale * max_quotient))),
        max_quotient_(SetU32(std::bit_cast<uint32_t>(max_quotient))),
        central_(scale >= 0x1p-80f && scale <= 0x1p80f) {}

  HWY_INLINE FloatVec operator()(U32Vec magnitudes) const {
    if (HWY_UNLIKELY(!central_)) {
      const FloatVec quotient = hn::Div(AsFloat(magnitudes), scale_);
      return AsFloat(hn::Min(Magnitudes(quotient), max_quotient_));
    }
    const FloatVec dividend = AsFloat(hn::Min(magnitudes, limit_));
    const FloatVec rough = hn::Mul(dividend, reciprocal_);
    const FloatVec near = Correct(dividend, rough);
    return Correct(dividend, near);
  }

 private:
  HWY_INLINE FloatVec Correct(FloatVec dividend, FloatVec quotient) const {
    return hn::MulAdd(hn::NegMulAdd(quotient, scale_, dividend), reciprocal_, quotient);
  }

  FloatVec scale_;
  FloatVec reciprocal_;
  U32Vec limit_;
  U32Vec max_quotient_;
  bool central_;
};

}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // !VERNIER_SCALAR_TARGET

#endif  // per-target include guard

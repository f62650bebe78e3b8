// A block's amax, the rule's scale and codes under a given scale, on groups of blocks, once per
// target.
#if defined(VERNIER_QUANTIZERS_NVFP4_ENCODE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifndef VERNIER_QUANTIZERS_NVFP4_ENCODE_INL_H_
#define VERNIER_QUANTIZERS_NVFP4_ENCODE_INL_H_
#else
#undef VERNIER_QUANTIZERS_NVFP4_ENCODE_INL_H_
#endif

#include <limits>

#include "quantizers/float_formats.h"
#include "quantizers/simd_blocks-inl.h"

#if !VERNIER_SCALAR_TARGET

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {

HWY_INLINE FloatVec Magnitude(FloatVec values) {
  return AsFloat(hn::And(AsBits(values), SetU32(0x7FFF'FFFFu)));
}

// Of magnitudes; NaN is the largest of all. Integers are ordered as the numbers are.
HWY_INLINE FloatVec SmallerMagnitude(FloatVec a, FloatVec b) {
  return AsFloat(hn::Min(AsBits(a), AsBits(b)));
}

// reference::Nvfp4Quotient, for amax not NaN.
HWY_INLINE FloatVec Quotient(FloatVec amax, float grid_max, float global_scale) {
  const FloatVec quotient = hn::Div(amax, SetFloat(grid_max * global_scale));
  const auto is_zero = hn::Eq(quotient, hn::Zero(FloatTag()));
  const FloatVec scale = hn::IfThenElse(is_zero, SetFloat(1.0f), quotient);
  return hn::Min(hn::Max(scale, SetFloat(kE4m3MinPositive)), SetFloat(kE4m3Max));
}

// E2M1 codes of x / scale, in the low byte. One Newton step from x * RN(1 / scale) gives the IEEE
// quotient wherever it matters, next to a rounding boundary; simd_formats_test.cc tries every
// significand of scale.
class Encoder {
 public:
  explicit HWY_INLINE Encoder(FloatVec scale)
      : scale_(scale),
        reciprocal_(hn::Div(SetFloat(1.0f), scale)),
        largest_(hn::Mul(scale, SetFloat(kE2m1Max))) {}

  HWY_INLINE U32Vec operator()(FloatVec x, FloatVec magnitude) const {
    // Clamping also takes NaN and infinity out of the arithmetic.
    const FloatVec clamped = SmallerMagnitude(magnitude, largest_);
    return E2m1Codes(RefinedQuotient(clamped, scale_, reciprocal_),
                     hn::Lt(x, hn::Zero(FloatTag())));
  }

 private:
  FloatVec scale_;
  FloatVec reciprocal_;
  FloatVec largest_;
};

HWY_INLINE FloatVec BlockAmax(const FloatVec* magnitudes) {
  U32Vec amax = AsBits(magnitudes[0]);
  for (size_t i = 1; i < kColumns; ++i) amax = hn::Max(amax, AsBits(magnitudes[i]));
  return SmallerMagnitude(AsFloat(amax), SetFloat(std::numeric_limits<float>::infinity()));
}

}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // !VERNIER_SCALAR_TARGET

#endif  // per-target include guard

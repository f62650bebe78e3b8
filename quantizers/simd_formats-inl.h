// The number formats of float_formats.h on vectors of 32-bit lanes, once per target. Each function
// gives the bits of its scalar namesake on the domain that it names.
#if defined(VERNIER_QUANTIZERS_SIMD_FORMATS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifndef VERNIER_QUANTIZERS_SIMD_FORMATS_INL_H_
#define VERNIER_QUANTIZERS_SIMD_FORMATS_INL_H_
#else
#undef VERNIER_QUANTIZERS_SIMD_FORMATS_INL_H_
#endif

#include <bit>
#include <cstdint>

#include "hwy/highway.h"
#include "quantizers/simd_dispatch.h"

#if !VERNIER_SCALAR_TARGET

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using U32Tag = hn::ScalableTag<uint32_t>;
using I32Tag = hn::ScalableTag<int32_t>;
using FloatVec = hn::Vec<FloatTag>;
using U32Vec = hn::Vec<U32Tag>;

HWY_INLINE FloatVec SetFloat(float value) { return hn::Set(FloatTag(), value); }
HWY_INLINE U32Vec SetU32(uint32_t value) { return hn::Set(U32Tag(), value); }
HWY_INLINE FloatVec AsFloat(U32Vec bits) { return hn::BitCast(FloatTag(), bits); }
HWY_INLINE U32Vec AsBits(FloatVec values) { return hn::BitCast(U32Tag(), values); }

// A lane holds two BF16 values: the even column in its low half, the odd column in its high half.
HWY_INLINE FloatVec EvenBf16(U32Vec pairs) { return AsFloat(hn::ShiftLeft<16>(pairs)); }
HWY_INLINE FloatVec OddBf16(U32Vec pairs) { return AsFloat(hn::And(pairs, SetU32(0xFFFF'0000u))); }

// F32 bits whose upper half is FloatToBf16(value); the lower half is rubbish. Not for a NaN with
// payload bits below the quiet bit: adding may carry out of it.
HWY_INLINE U32Vec RoundToUpperHalf(FloatVec values) {
  const U32Vec bits = AsBits(values);
  const U32Vec odd = hn::And(hn::ShiftRight<16>(bits), SetU32(1));
  return hn::Add(hn::Add(bits, SetU32(0x7FFF)), odd);
}

// The inverse of EvenBf16 and OddBf16, with the restriction of RoundToUpperHalf.
HWY_INLINE U32Vec PackBf16(FloatVec even, FloatVec odd) {
  return hn::Or(hn::ShiftRight<16>(RoundToUpperHalf(even)),
                hn::And(RoundToUpperHalf(odd), SetU32(0xFFFF'0000u)));
}

// E2M1 codes of magnitudes in [0, 7) in the low byte of a lane, the sign bit set where `negative`;
// rubbish above. For q in [2^e, 2^(e+1)), e >= 0, the step of E2M1 is 2^(e-1), and so is the unit
// in the last place of q + 2^(e+22): the addition rounds q to its step, ties to even, and its low
// bits count the steps. Step count n stands for code n + 2e, and 2^e are two steps.
HWY_INLINE U32Vec E2m1Codes(FloatVec magnitudes, hn::Mask<FloatTag> negative) {
  const FloatVec at_least_one = hn::Max(magnitudes, SetFloat(1.0f));
  const U32Vec power = hn::And(AsBits(at_least_one), SetU32(0x7F80'0000u));
  // Two steps more, and eight for the sign bit.
  const FloatVec shift = hn::IfThenElse(negative, SetFloat(0x1p22f + 5), SetFloat(0x1p22f + 1));
  const FloatVec sum = hn::MulAdd(AsFloat(power), shift, magnitudes);
  // power >> 22 is 2 * e + 254: with the two steps, 2 * e + 256.
  return hn::Add(AsBits(sum), hn::ShiftRight<22>(power));
}

// The E2M1 values that E2m1Codes would name, but of q in (-7, 7), with the sign of q. The unit in
// the last place of 1.5 * 2^(e+22) is the step of E2M1 as well, on both sides of it.
HWY_INLINE FloatVec NearestE2m1(FloatVec q) {
  const FloatVec power = AsFloat(hn::And(AsBits(q), SetU32(0x7F80'0000u)));
  const FloatVec at_least_one = hn::Max(power, SetFloat(1.0f));
  const FloatVec sum = hn::MulAdd(at_least_one, SetFloat(1.5f * 0x1p22f), q);
  return hn::NegMulAdd(at_least_one, SetFloat(1.5f * 0x1p22f), sum);
}

// x / divisor for x >= 0, given RN(1 / divisor): equal to the IEEE quotient next to every boundary
// between E2M1 codes, and so good for E2m1Codes. Nothing may under- or overflow near there.
HWY_INLINE FloatVec RefinedQuotient(FloatVec x, FloatVec divisor, FloatVec reciprocal) {
  const FloatVec estimate = hn::Mul(x, reciprocal);
  return hn::MulAdd(hn::NegMulAdd(estimate, divisor, x), reciprocal, estimate);
}

// FloatToE4m3 for values in [0, 464].
HWY_INLINE U32Vec E4m3Codes(FloatVec values) {
  const U32Vec bits = AsBits(values);
  const U32Vec odd = hn::And(hn::ShiftRight<20>(bits), SetU32(1));
  const U32Vec rounded = hn::Add(hn::Add(bits, SetU32(0x7'FFFF)), odd);
  const U32Vec normal = hn::Sub(hn::ShiftRight<20>(rounded), SetU32((127 - 7) << 3));
  const U32Vec denormal =
      hn::Sub(AsBits(hn::Add(values, SetFloat(0x1p14f))), SetU32(std::bit_cast<uint32_t>(0x1p14f)));
  const auto is_normal = hn::Ge(values, SetFloat(0x1p-6f));
  return hn::IfThenElse(hn::RebindMask(U32Tag(), is_normal), normal, denormal);
}

// The code of the largest E4M3 value not above a value in [2^-6, 480).
HWY_INLINE U32Vec TruncatedE4m3Codes(FloatVec values) {
  return hn::Sub(hn::ShiftRight<20>(AsBits(values)), SetU32((127 - 7) << 3));
}

// E4m3ToFloat for codes 0x08..0x7E, which are not denormal.
HWY_INLINE FloatVec NormalE4m3Magnitudes(U32Vec codes) {
  return AsFloat(hn::Add(hn::ShiftLeft<20>(codes), SetU32((127 - 7) << 23)));
}

// E4m3ToFloat for codes 0x00..0x7E.
HWY_INLINE FloatVec E4m3Magnitudes(U32Vec codes) {
  // One exponent up, the denormals follow 2^-6 evenly.
  const FloatVec denormal =
      hn::Sub(NormalE4m3Magnitudes(hn::Add(codes, SetU32(8))), SetFloat(0x1p-6f));
  const auto is_normal = hn::RebindMask(FloatTag(), hn::Gt(codes, SetU32(7)));
  return hn::IfThenElse(is_normal, NormalE4m3Magnitudes(codes), denormal);
}

// E4m3ToFloat for every code 0x00..0xFF.
HWY_INLINE FloatVec E4m3Values(U32Vec codes) {
  const U32Vec magnitude = hn::And(codes, SetU32(0x7F));
  const U32Vec sign = hn::ShiftLeft<24>(hn::And(codes, SetU32(0x80)));
  const U32Vec value = hn::Or(AsBits(E4m3Magnitudes(magnitude)), sign);
  const auto is_nan = hn::Eq(magnitude, SetU32(0x7F));
  return AsFloat(hn::IfThenElse(is_nan, SetU32(0x7FC0'0000u), value));
}

}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // !VERNIER_SCALAR_TARGET

#endif  // per-target include guard

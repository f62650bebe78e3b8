// E4M3 runs under one scale, once per target: what FP8 blocks and MXFP8 blocks are made of.
#if defined(VERNIER_QUANTIZERS_FP8_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifndef VERNIER_QUANTIZERS_FP8_INL_H_
#define VERNIER_QUANTIZERS_FP8_INL_H_
#else
#undef VERNIER_QUANTIZERS_FP8_INL_H_
#endif

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "quantizers/bf16-inl.h"
#include "quantizers/fp8_reference.h"

#if !VERNIER_SCALAR_TARGET

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using U16Tag = hn::Repartition<uint16_t, U32Tag>;
using U16Vec = hn::Vec<U16Tag>;

// E4M3 codes, sign included, of values whose quotients are given; these may exceed 448.
HWY_INLINE U32Vec EncodeFp8(FloatVec values, FloatVec quotients) {
  const U32Vec limit = SetU32(std::bit_cast<uint32_t>(kE4m3Max));
  const U32Vec codes = E4m3Codes(AsFloat(hn::Min(AsBits(quotients), limit)));
  return hn::Or(codes, hn::And(hn::ShiftRight<24>(AsBits(values)), SetU32(0x80)));
}

// codes[i] = E4M3 of values[i] with the quotient that `quotient` makes of its magnitude's bits, for
// as many values as fill vectors. Returns their number.
template <typename Real, typename Quotient>
HWY_INLINE size_t EncodeFp8Run(const Real* values, size_t count, const Quotient& quotient,
                               uint8_t* codes) {
  const size_t step = PairColumns();
  const hn::Rebind<uint16_t, U32Tag> half_tag;
  const hn::Repartition<uint8_t, decltype(half_tag)> byte_tag;
  size_t i = 0;
  for (; i + step <= count; i += step) {
    const ColumnPairs pairs = LoadPairs(values + i);
    const U32Vec even = EncodeFp8(pairs.even, quotient(Magnitudes(pairs.even)));
    const U32Vec odd = EncodeFp8(pairs.odd, quotient(Magnitudes(pairs.odd)));
    const auto both = hn::TruncateTo(half_tag, hn::Or(even, hn::ShiftLeft<8>(odd)));
    hn::StoreU(hn::BitCast(byte_tag, both), byte_tag, codes + i);
  }
  return i;
}

// Quotients above 448 saturate, so that nothing needs to be told apart beyond the next power of
// two.
HWY_INLINE Divider Fp8Divider(float scale) { return Divider(scale, 512.0f); }

// As reference::QuantizeFp8; `quotient` is Fp8Divider(scale).
template <typename Real>
HWY_INLINE void QuantizeFp8Run(std::span<const Real> values, float scale, const Divider& quotient,
                               std::span<uint8_t> codes) {
  const size_t done = EncodeFp8Run(values.data(), values.size(), quotient, codes.data());
  if (done == values.size()) return;
  reference::QuantizeFp8(values.subspan(done), scale, codes.subspan(done));
}

// E4M3 codes as binary16 values 2^8 too small; NaN stays NaN. From the sign-extended code the sign
// fills two bits, of which one goes; only the magnitude 0x7F reaches the freed bit by a carry,
// which makes an exponent of ones of it.
HWY_INLINE U16Vec F16OfE4m3(U16Vec sign_extended) {
  const U16Tag tag;
  const U16Vec f16 = hn::And(hn::ShiftLeft<7>(sign_extended), hn::Set(tag, 0xBF80));
  const U16Vec carry = hn::And(hn::Add(f16, hn::Set(tag, 0x0080)), hn::Set(tag, 0x4000));
  return hn::Or(f16, carry);
}

// Values in order, the first half of them in `low`.
HWY_INLINE void StoreHalves(FloatVec low, FloatVec high, float* values) {
  hn::StoreU(low, FloatTag(), values);
  hn::StoreU(high, FloatTag(), values + hn::Lanes(FloatTag()));
}

HWY_INLINE void StoreHalves(FloatVec low, FloatVec high, uint16_t* bf16) {
  const U16Tag tag;
  const U16Vec low_words = hn::BitCast(tag, RoundToUpperHalf(low));
  const U16Vec high_words = hn::BitCast(tag, RoundToUpperHalf(high));
  hn::StoreU(hn::ConcatOdd(tag, high_words, low_words), tag, bf16);
}

// values[i] = E4M3(codes[i]) * scale.
template <typename Real>
HWY_INLINE void DecodeFp8Run(const uint8_t* codes, size_t count, float scale, Real* values) {
  const hn::Repartition<int16_t, U16Tag> signed_tag;
  const hn::Rebind<int8_t, decltype(signed_tag)> byte_tag;
  const hn::Rebind<hwy::float16_t, FloatTag> f16_tag;
  const hn::Half<U16Tag> half_tag;
  const FloatVec factor = SetFloat(scale * 0x1p8f);
  // Beyond this the factor could overflow where the product does not; NaN and infinity among them.
  const bool usual = scale < 0x1p119f && scale > -0x1p119f;
  const size_t step = PairColumns();
  size_t i = 0;
  for (; usual && i + step <= count; i += step) {
    const auto bytes = hn::LoadU(byte_tag, reinterpret_cast<const int8_t*>(codes + i));
    const U16Vec f16 = F16OfE4m3(hn::BitCast(U16Tag(), hn::PromoteTo(signed_tag, bytes)));
    const auto low = hn::BitCast(f16_tag, hn::LowerHalf(half_tag, f16));
    const auto high = hn::BitCast(f16_tag, hn::UpperHalf(half_tag, f16));
    StoreHalves(hn::Mul(hn::PromoteTo(FloatTag(), low), factor),
                hn::Mul(hn::PromoteTo(FloatTag(), high), factor), values + i);
  }
  for (; i < count; ++i) reference::Narrow(E4m3ToFloat(codes[i]) * scale, values[i]);
}

}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // !VERNIER_SCALAR_TARGET

#endif  // per-target include guard

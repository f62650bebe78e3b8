// clang-format off
#include "quantizers/simd_dispatch.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantizers/bf16.cc"
#include "hwy/foreach_target.h"
#include "quantizers/simd_formats-inl.h"
// clang-format on

#include "quantizers/bf16.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstddef>

#include "quantizers/float_formats.h"

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {
namespace {

#if VERNIER_SCALAR_TARGET

size_t NarrowVectors(std::span<const float>, std::span<uint16_t>) { return 0; }
size_t WidenBf16Vectors(std::span<const uint16_t>, std::span<float>) { return 0; }
size_t WidenF16Vectors(std::span<const uint16_t>, std::span<float>) { return 0; }

#else

using HalfTag = hn::Rebind<uint16_t, U32Tag>;

U32Vec Bf16Codes(FloatVec values) {
  const U32Vec rounded = hn::ShiftRight<16>(RoundToUpperHalf(values));
  const U32Vec nan = hn::Or(hn::ShiftRight<16>(AsBits(values)), SetU32(0x40));
  return hn::IfThenElse(hn::RebindMask(U32Tag(), hn::Eq(values, values)), rounded, nan);
}

// A binary16 shifted into an F32's place has an exponent 112 too small; NaN and Inf need 112 more.
// For denormals one exponent up, the multiples of 2^-24 follow 2^-14.
U32Vec F32OfF16(U32Vec f16) {
  const U32Vec sign = hn::ShiftLeft<16>(hn::And(f16, SetU32(0x8000)));
  const U32Vec magnitude = hn::And(f16, SetU32(0x7FFF));
  const U32Vec rebiased = hn::Add(hn::ShiftLeft<13>(magnitude), SetU32(112u << 23));
  const U32Vec denormal =
      AsBits(hn::Sub(AsFloat(hn::Add(rebiased, SetU32(1u << 23))), SetFloat(0x1p-14f)));
  const U32Vec special = hn::Add(rebiased, SetU32(112u << 23));
  const U32Vec finite = hn::IfThenElse(hn::Lt(magnitude, SetU32(0x400)), denormal, rebiased);
  return hn::Or(sign, hn::IfThenElse(hn::Gt(magnitude, SetU32(0x7BFF)), special, finite));
}

// These three convert as many elements as fill vectors and return their number.
size_t NarrowVectors(std::span<const float> values, std::span<uint16_t> bf16) {
  const size_t step = hn::Lanes(U32Tag());
  size_t i = 0;
  for (; i + step <= values.size(); i += step) {
    const U32Vec codes = Bf16Codes(hn::LoadU(FloatTag(), &values[i]));
    hn::StoreU(hn::TruncateTo(HalfTag(), codes), HalfTag(), &bf16[i]);
  }
  return i;
}

size_t WidenBf16Vectors(std::span<const uint16_t> bf16, std::span<float> values) {
  const size_t step = hn::Lanes(U32Tag());
  size_t i = 0;
  for (; i + step <= values.size(); i += step) {
    const U32Vec codes = hn::PromoteTo(U32Tag(), hn::LoadU(HalfTag(), &bf16[i]));
    hn::StoreU(EvenBf16(codes), FloatTag(), &values[i]);
  }
  return i;
}

size_t WidenF16Vectors(std::span<const uint16_t> f16, std::span<float> values) {
  const size_t step = hn::Lanes(U32Tag());
  size_t i = 0;
  for (; i + step <= values.size(); i += step) {
    const U32Vec codes = hn::PromoteTo(U32Tag(), hn::LoadU(HalfTag(), &f16[i]));
    hn::StoreU(AsFloat(F32OfF16(codes)), FloatTag(), &values[i]);
  }
  return i;
}

#endif  // VERNIER_SCALAR_TARGET

}  // namespace
}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace vernier::quantizers {
namespace {

HWY_EXPORT(NarrowVectors);
HWY_EXPORT(WidenBf16Vectors);
HWY_EXPORT(WidenF16Vectors);

}  // namespace

void FloatToBf16(std::span<const float> values, std::span<uint16_t> bf16) {
  assert(values.size() == bf16.size());
  const size_t done = HWY_DYNAMIC_DISPATCH(NarrowVectors)(values, bf16);
  for (size_t i = done; i < values.size(); ++i) bf16[i] = FloatToBf16(values[i]);
}

void Bf16ToFloat(std::span<const uint16_t> bf16, std::span<float> values) {
  assert(values.size() == bf16.size());
  const size_t done = HWY_DYNAMIC_DISPATCH(WidenBf16Vectors)(bf16, values);
  for (size_t i = done; i < values.size(); ++i) values[i] = Bf16ToFloat(bf16[i]);
}

void F16ToFloat(std::span<const uint16_t> f16, std::span<float> values) {
  assert(values.size() == f16.size());
  const size_t done = HWY_DYNAMIC_DISPATCH(WidenF16Vectors)(f16, values);
  for (size_t i = done; i < values.size(); ++i) values[i] = F16ToFloat(f16[i]);
}

}  // namespace vernier::quantizers

#endif  // HWY_ONCE

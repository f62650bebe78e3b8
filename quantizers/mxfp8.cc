// clang-format off
#include "quantizers/simd_dispatch.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantizers/mxfp8.cc"
#include "hwy/foreach_target.h"
#include "quantizers/fp8-inl.h"
// clang-format on

#include "quantizers/mxfp8.h"

#include <cassert>
#include <cstddef>

#include "quantizers/mxfp8_reference.h"

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {
namespace {

#if VERNIER_SCALAR_TARGET

template <typename Real>
void QuantizeReals(std::span<const Real> values, std::span<uint8_t> codes,
                   std::span<uint8_t> e8m0) {
  reference::QuantizeMxfp8(values, codes, e8m0);
}

template <typename Real>
void DequantizeReals(std::span<const uint8_t> codes, std::span<const uint8_t> e8m0,
                     std::span<Real> values) {
  reference::DequantizeMxfp8(codes, e8m0, values);
}

#else

template <typename Real>
void QuantizeReals(std::span<const Real> values, std::span<uint8_t> codes,
                   std::span<uint8_t> e8m0) {
  for (size_t block = 0; block < e8m0.size(); ++block) {
    const size_t begin = block * kMxfp8BlockSize;
    e8m0[block] = reference::Fp8ExponentByte(AmaxBits(values.data() + begin, kMxfp8BlockSize));
    const FloatVec inverse = SetFloat(reference::InverseE8m0(e8m0[block]));
    const auto quotient = [inverse](U32Vec magnitudes)
                              HWY_ATTR { return hn::Mul(AsFloat(magnitudes), inverse); };
    EncodeFp8Run(values.data() + begin, kMxfp8BlockSize, quotient, codes.data() + begin);
  }
}

template <typename Real>
void DequantizeReals(std::span<const uint8_t> codes, std::span<const uint8_t> e8m0,
                     std::span<Real> values) {
  for (size_t block = 0; block < e8m0.size(); ++block) {
    const size_t begin = block * kMxfp8BlockSize;
    DecodeFp8Run(codes.data() + begin, kMxfp8BlockSize, E8m0ToFloat(e8m0[block]),
                 values.data() + begin);
  }
}

#endif  // VERNIER_SCALAR_TARGET

void Quantize(RealSpan values, std::span<uint8_t> codes, std::span<uint8_t> e8m0) {
  std::visit([&](auto reals) HWY_ATTR { QuantizeReals(reals, codes, e8m0); }, values);
}

void Dequantize(std::span<const uint8_t> codes, std::span<const uint8_t> e8m0,
                MutableRealSpan values) {
  std::visit([&](auto reals) HWY_ATTR { DequantizeReals(codes, e8m0, reals); }, values);
}

}  // namespace
}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace vernier::quantizers {
namespace {

HWY_EXPORT(Quantize);
HWY_EXPORT(Dequantize);

[[maybe_unused]] bool ShapesAgree(size_t values, size_t codes, size_t e8m0, int64_t columns) {
  return columns > 0 && columns % kMxfp8BlockSize == 0 && values == codes &&
         codes % static_cast<size_t>(columns) == 0 && codes == e8m0 * kMxfp8BlockSize;
}

}  // namespace

void QuantizeMxfp8(RealSpan values, [[maybe_unused]] int64_t columns, std::span<uint8_t> codes,
                   std::span<uint8_t> e8m0) {
  assert(ShapesAgree(SizeOf(values), codes.size(), e8m0.size(), columns));
  HWY_DYNAMIC_DISPATCH(Quantize)(values, codes, e8m0);
}

void DequantizeMxfp8(std::span<const uint8_t> codes, std::span<const uint8_t> e8m0,
                     [[maybe_unused]] int64_t columns, MutableRealSpan values) {
  assert(ShapesAgree(SizeOf(values), codes.size(), e8m0.size(), columns));
  HWY_DYNAMIC_DISPATCH(Dequantize)(codes, e8m0, values);
}

}  // namespace vernier::quantizers

#endif  // HWY_ONCE

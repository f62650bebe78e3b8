// clang-format off
#include "quantizers/simd_dispatch.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantizers/mxfp4.cc"
#include "hwy/foreach_target.h"
#include "quantizers/bf16-inl.h"
// clang-format on

#include "quantizers/mxfp4.h"

#include <array>
#include <bit>
#include <cassert>
#include <cstddef>

#include "quantizers/mxfp4_reference.h"

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {
namespace {

#if VERNIER_SCALAR_TARGET

template <typename Real>
void QuantizeReals(std::span<const Real> values, int64_t columns, Mxfp4Search search,
                   std::span<const float> importance, std::span<uint8_t> packed,
                   std::span<uint8_t> e8m0) {
  reference::QuantizeMxfp4(values, columns, search, importance, packed, e8m0);
}

#else

constexpr size_t kBlock = kMxfp4BlockSize;
constexpr size_t kBlockBytes = kBlock / 2;

// As reference::EncodeMxfp4Magnitude. From 1 on the code is the exponent and the first mantissa
// bit, rounded with ties down in the integer domain.
HWY_INLINE U32Vec EncodeMagnitudes(FloatVec quotients) {
  const U32Vec bits = hn::Min(AsBits(quotients), SetU32(std::bit_cast<uint32_t>(kE2m1Max)));
  const FloatVec bounded = AsFloat(bits);
  const U32Vec rounded = hn::ShiftRight<22>(hn::Add(bits, SetU32(0x1F'FFFF)));
  const U32Vec large = hn::Sub(rounded, SetU32((127 << 1) - 2));
  const auto count = [&](float bound) HWY_ATTR {
    const auto above = hn::RebindMask(U32Tag(), hn::Gt(bounded, SetFloat(bound)));
    return hn::IfThenElseZero(above, SetU32(1));
  };
  const U32Vec small = hn::Add(count(0.25f), count(0.75f));
  const auto is_large = hn::RebindMask(U32Tag(), hn::Ge(bounded, SetFloat(1.0f)));
  return hn::IfThenElse(is_large, large, small);
}

// E2M1 magnitudes of codes 0..7.
HWY_INLINE FloatVec DecodeMagnitudes(U32Vec codes) {
  const FloatVec large = AsFloat(hn::ShiftLeft<22>(hn::Add(codes, SetU32((127 << 1) - 2))));
  const FloatVec small =
      hn::Mul(hn::ConvertTo(FloatTag(), hn::BitCast(I32Tag(), codes)), SetFloat(0.5f));
  const auto is_large = hn::RebindMask(FloatTag(), hn::Gt(codes, SetU32(1)));
  return hn::IfThenElse(is_large, large, small);
}

HWY_INLINE U32Vec EncodeNibbles(FloatVec values, FloatVec inverse_scale) {
  const U32Vec codes = EncodeMagnitudes(hn::Mul(AsFloat(Magnitudes(values)), inverse_scale));
  const auto positive = hn::Gt(hn::BitCast(I32Tag(), values), hn::Zero(I32Tag()));
  const U32Vec sign = hn::IfThenZeroElse(hn::RebindMask(U32Tag(), positive), SetU32(8));
  return hn::Or(codes, sign);
}

template <typename Real>
HWY_INLINE void EncodeBlock(const Real* values, uint8_t e8m0, uint8_t* packed) {
  const hn::Rebind<uint8_t, U32Tag> byte_tag;
  const FloatVec inverse_scale = SetFloat(reference::InverseE8m0(e8m0));
  for (size_t i = 0; i < kBlock; i += PairColumns()) {
    const ColumnPairs pairs = LoadPairs(values + i);
    const U32Vec even = EncodeNibbles(pairs.even, inverse_scale);
    const U32Vec odd = EncodeNibbles(pairs.odd, inverse_scale);
    const U32Vec both = hn::Or(even, hn::ShiftLeft<4>(odd));
    hn::StoreU(hn::TruncateTo(byte_tag, both), byte_tag, packed + i / 2);
  }
}

struct SquaredErrors {
  FloatVec all;
  FloatVec saturated;
};

// Of magnitudes in units of the scale that saturates nothing, under the scale 2^-drop.
HWY_INLINE SquaredErrors ErrorsOf(FloatVec magnitudes, FloatVec weights, int drop) {
  const auto byte = static_cast<uint8_t>(kE8m0Bias - drop);
  const FloatVec quotients = hn::Mul(magnitudes, SetFloat(reference::InverseE8m0(byte)));
  const FloatVec nearest =
      hn::Mul(DecodeMagnitudes(EncodeMagnitudes(quotients)), SetFloat(E8m0ToFloat(byte)));
  const FloatVec distance = hn::Sub(magnitudes, nearest);
  const FloatVec error = hn::Mul(hn::Mul(distance, distance), weights);
  return {error, hn::IfThenElseZero(hn::Gt(quotients, SetFloat(kE2m1Max)), error)};
}

// A block's magnitudes, scaled, and its weights; even columns apart from odd ones.
struct ScaledBlock {
  static constexpr size_t kPairs = kBlock / 2;
  alignas(64) float even[kPairs];
  alignas(64) float odd[kPairs];
  alignas(64) float even_weights[kPairs];
  alignas(64) float odd_weights[kPairs];
};

template <typename Real>
ScaledBlock LoadScaled(const Real* values, const float* importance, uint8_t top) {
  const FloatTag tag;
  const FloatVec inverse_scale = SetFloat(reference::InverseE8m0(top));
  ScaledBlock block;
  for (size_t i = 0; i < kBlock; i += PairColumns()) {
    const ColumnPairs pairs = LoadPairs(values + i);
    ColumnPairs weights = {SetFloat(1.0f), SetFloat(1.0f)};
    if (importance != nullptr) weights = LoadPairs(importance + i);
    hn::Store(hn::Mul(AsFloat(Magnitudes(pairs.even)), inverse_scale), tag, block.even + i / 2);
    hn::Store(hn::Mul(AsFloat(Magnitudes(pairs.odd)), inverse_scale), tag, block.odd + i / 2);
    hn::Store(weights.even, tag, block.even_weights + i / 2);
    hn::Store(weights.odd, tag, block.odd_weights + i / 2);
  }
  return block;
}

// As reference::ErrorOfDrop, with its order of summation.
reference::Mxfp4Error ErrorOfDrop(const ScaledBlock& block, int drop) {
  const FloatTag tag;
  std::array<float, ScaledBlock::kPairs> all;
  std::array<float, ScaledBlock::kPairs> saturated;
  for (size_t i = 0; i < ScaledBlock::kPairs; i += hn::Lanes(tag)) {
    const SquaredErrors even =
        ErrorsOf(hn::Load(tag, block.even + i), hn::Load(tag, block.even_weights + i), drop);
    const SquaredErrors odd =
        ErrorsOf(hn::Load(tag, block.odd + i), hn::Load(tag, block.odd_weights + i), drop);
    hn::StoreU(hn::Add(even.all, odd.all), tag, all.data() + i);
    hn::StoreU(hn::Add(even.saturated, odd.saturated), tag, saturated.data() + i);
  }
  return {reference::SumOfPairs(all), reference::SumOfPairs(saturated)};
}

template <typename Real>
uint8_t FindExponent(const Real* values, uint8_t top, const float* importance) {
  const ScaledBlock block = LoadScaled(values, importance, top);
  const int max_drop = reference::MaxDrop(top, importance != nullptr);
  const auto error_of = [&block](int drop) HWY_ATTR { return ErrorOfDrop(block, drop); };
  return static_cast<uint8_t>(top - reference::FindBestDrop(max_drop, error_of));
}

template <typename Real>
void QuantizeReals(std::span<const Real> values, int64_t columns, Mxfp4Search search,
                   std::span<const float> importance, std::span<uint8_t> packed,
                   std::span<uint8_t> e8m0) {
  const auto width = static_cast<size_t>(columns);
  size_t column = 0;
  for (size_t block = 0; block < e8m0.size(); ++block) {
    const Real* source = values.data() + block * kBlock;
    uint8_t exponent = reference::Mxfp4ExponentByte(AmaxBits(source, kBlock));
    if (search == Mxfp4Search::kMse) {
      const float* weights = importance.empty() ? nullptr : importance.data() + column;
      exponent = FindExponent(source, exponent, weights);
      column = column + kBlock == width ? 0 : column + kBlock;
    }
    e8m0[block] = exponent;
    EncodeBlock(source, exponent, packed.data() + block * kBlockBytes);
  }
}

#endif  // VERNIER_SCALAR_TARGET

void Quantize(RealSpan values, int64_t columns, Mxfp4Search search,
              std::span<const float> importance, std::span<uint8_t> packed,
              std::span<uint8_t> e8m0) {
  const auto quantize = [&](auto reals) HWY_ATTR {
    QuantizeReals(reals, columns, search, importance, packed, e8m0);
  };
  std::visit(quantize, values);
}

}  // namespace
}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace vernier::quantizers {
namespace {

HWY_EXPORT(Quantize);

[[maybe_unused]] bool ImportanceAgrees(std::span<const float> importance, int64_t columns) {
  return importance.empty() || importance.size() == static_cast<size_t>(columns);
}

}  // namespace

void QuantizeMxfp4(RealSpan values, int64_t columns, Mxfp4Search search,
                   std::span<const float> importance, std::span<uint8_t> packed,
                   std::span<uint8_t> e8m0) {
  assert(reference::Mxfp4ShapesAgree(SizeOf(values), packed.size(), e8m0.size(), columns));
  assert(ImportanceAgrees(importance, columns));
  HWY_DYNAMIC_DISPATCH(Quantize)(values, columns, search, importance, packed, e8m0);
}

}  // namespace vernier::quantizers

#endif  // HWY_ONCE

// clang-format off
#include "quantizers/simd_dispatch.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantizers/int4.cc"
#include "hwy/foreach_target.h"
#include "quantizers/bf16-inl.h"
// clang-format on

#include "quantizers/int4.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstddef>

#include "quantizers/int4_reference.h"

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {
namespace {

#if VERNIER_SCALAR_TARGET

template <typename Real>
void QuantizeReals(std::span<const Real> values, int64_t columns, int64_t group,
                   std::span<uint8_t> packed, std::span<uint16_t> bf16_scales) {
  reference::QuantizeInt4(values, columns, group, packed, bf16_scales);
}

template <typename Real>
void DequantizeReals(std::span<const uint8_t> packed, std::span<const float> scales,
                     int64_t columns, int64_t group, std::span<Real> values) {
  reference::DequantizeInt4(packed, scales, columns, group, values);
}

#else

using ByteTag = hn::Rebind<uint8_t, U32Tag>;

// Stored nibbles of values whose quotients, at most 16, are given. The sum with 2^23 rounds to an
// integer, ties to even, and holds it in its low bits.
HWY_INLINE U32Vec EncodeInt4(FloatVec values, FloatVec quotients) {
  const FloatVec bounded = hn::Min(quotients, SetFloat(8.0f));
  const U32Vec magnitude = hn::And(AsBits(hn::Add(bounded, SetFloat(0x1p23f))), SetU32(0xF));
  const U32Vec bias = SetU32(reference::kInt4Bias);
  const U32Vec above = hn::Min(hn::Add(bias, magnitude), SetU32(15));
  const U32Vec below = hn::Sub(bias, magnitude);
  const auto negative = hn::Lt(hn::BitCast(I32Tag(), values), hn::Zero(I32Tag()));
  return hn::IfThenElse(hn::RebindMask(U32Tag(), negative), below, above);
}

template <typename Real>
uint16_t QuantizeGroup(std::span<const Real> values, std::span<uint8_t> packed) {
  const uint16_t scale = reference::Int4Scale(AmaxBits(values.data(), values.size()));
  const Divider quotient(Bf16ToFloat(scale), 16.0f);
  const size_t step = PairColumns();
  size_t i = 0;
  for (; i + step <= values.size(); i += step) {
    const ColumnPairs pairs = LoadPairs(&values[i]);
    const U32Vec even = EncodeInt4(pairs.even, quotient(Magnitudes(pairs.even)));
    const U32Vec odd = EncodeInt4(pairs.odd, quotient(Magnitudes(pairs.odd)));
    const U32Vec both = hn::Or(even, hn::ShiftLeft<4>(odd));
    hn::StoreU(hn::TruncateTo(ByteTag(), both), ByteTag(), &packed[i / 2]);
  }
  if (i == values.size()) return scale;
  reference::PackInt4(values.subspan(i), Bf16ToFloat(scale), packed.subspan(i / 2));
  return scale;
}

template <typename Real>
void QuantizeReals(std::span<const Real> values, int64_t columns, int64_t group,
                   std::span<uint8_t> packed, std::span<uint16_t> bf16_scales) {
  reference::ForEachInt4Group(
      values.size(), columns, group, [&](size_t index, size_t begin, size_t count) HWY_ATTR {
        bf16_scales[index] =
            QuantizeGroup(values.subspan(begin, count), packed.subspan(begin / 2, count / 2));
      });
}

HWY_INLINE FloatVec DecodeInt4(U32Vec nibbles, FloatVec scale) {
  const auto codes =
      hn::Sub(hn::BitCast(I32Tag(), nibbles), hn::Set(I32Tag(), reference::kInt4Bias));
  return hn::Mul(hn::ConvertTo(FloatTag(), codes), scale);
}

template <typename Real>
void DequantizeGroup(std::span<const uint8_t> packed, float scale, std::span<Real> values) {
  const float clean_scale = WithoutPayload(scale);
  const FloatVec factor = SetFloat(clean_scale);
  const size_t step = PairColumns();
  size_t i = 0;
  for (; i + step <= values.size(); i += step) {
    const U32Vec bytes = hn::PromoteTo(U32Tag(), hn::LoadU(ByteTag(), &packed[i / 2]));
    StorePairs({DecodeInt4(hn::And(bytes, SetU32(0xF)), factor),
                DecodeInt4(hn::ShiftRight<4>(bytes), factor)},
               &values[i]);
  }
  if (i == values.size()) return;
  reference::UnpackInt4(packed.subspan(i / 2), clean_scale, values.subspan(i));
}

template <typename Real>
void DequantizeReals(std::span<const uint8_t> packed, std::span<const float> scales,
                     int64_t columns, int64_t group, std::span<Real> values) {
  reference::ForEachInt4Group(values.size(), columns, group,
                              [&](size_t index, size_t begin, size_t count) HWY_ATTR {
                                DequantizeGroup(packed.subspan(begin / 2, count / 2), scales[index],
                                                values.subspan(begin, count));
                              });
}

#endif  // VERNIER_SCALAR_TARGET

void Quantize(RealSpan values, int64_t columns, int64_t group, std::span<uint8_t> packed,
              std::span<uint16_t> bf16_scales) {
  const auto quantize = [&](auto reals)
                            HWY_ATTR { QuantizeReals(reals, columns, group, packed, bf16_scales); };
  std::visit(quantize, values);
}

void Dequantize(std::span<const uint8_t> packed, std::span<const float> scales, int64_t columns,
                int64_t group, MutableRealSpan values) {
  const auto dequantize = [&](auto reals)
                              HWY_ATTR { DequantizeReals(packed, scales, columns, group, reals); };
  std::visit(dequantize, values);
}

}  // namespace
}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace vernier::quantizers {
namespace {

HWY_EXPORT(Quantize);
HWY_EXPORT(Dequantize);

constexpr int64_t kColumnsPerWord = 8;

[[maybe_unused]] bool ShapesAgree(size_t values, size_t packed, size_t scales, int64_t columns,
                                  int64_t group) {
  if (columns <= 0 || group <= 0 || columns % kColumnsPerWord != 0) return false;
  const auto width = static_cast<size_t>(columns);
  const size_t groups = (width + static_cast<size_t>(group) - 1) / static_cast<size_t>(group);
  return group % kColumnsPerWord == 0 && values % width == 0 && packed * 2 == values &&
         scales == values / width * groups;
}

}  // namespace

void QuantizeInt4(RealSpan values, int64_t columns, int64_t group, std::span<uint8_t> packed,
                  std::span<uint16_t> bf16_scales) {
  assert(ShapesAgree(SizeOf(values), packed.size(), bf16_scales.size(), columns, group));
  HWY_DYNAMIC_DISPATCH(Quantize)(values, columns, group, packed, bf16_scales);
}

void DequantizeInt4(std::span<const uint8_t> packed, std::span<const float> scales, int64_t columns,
                    int64_t group, MutableRealSpan values) {
  assert(ShapesAgree(SizeOf(values), packed.size(), scales.size(), columns, group));
  HWY_DYNAMIC_DISPATCH(Dequantize)(packed, scales, columns, group, values);
}

}  // namespace vernier::quantizers

#endif  // HWY_ONCE

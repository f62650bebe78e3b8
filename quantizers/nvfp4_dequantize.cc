#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "quantizers/nvfp4.h"
#include "quantizers/nvfp4_reference.h"

// clang-format off
#include "quantizers/simd_dispatch.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantizers/nvfp4_dequantize.cc"
#include "hwy/foreach_target.h"
#include "quantizers/simd_blocks-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {

#if VERNIER_SCALAR_TARGET

void Dequantize(std::span<const uint8_t> packed, std::span<const uint8_t> scales,
                float global_scale, MutableRealSpan values) {
  reference::DequantizeNvfp4(packed, scales, global_scale, values);
}

#else

// Twice the E2M1 values of the low nibbles of all bytes, as signed bytes: integers, and code 8 is
// 0.
HWY_INLINE U32Vec DoubledValues(U32Vec nibbles) {
  const hn::Repartition<int8_t, U32Tag> tag;
  alignas(16) static constexpr int8_t kDoubled[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                                      0, -1, -2, -3, -4, -6, -8, -12};
  const auto table = hn::LoadDup128(tag, kDoubled);
  const U32Vec low = hn::And(nibbles, SetU32(0x0F0F'0F0Fu));
  return hn::BitCast(U32Tag(), hn::TableLookupBytes(table, hn::BitCast(tag, low)));
}

// Byte kByte of every lane as a signed number.
template <int kByte>
HWY_INLINE FloatVec SignedByte(U32Vec words) {
  const hn::RebindToSigned<U32Tag> tag;
  const auto top = hn::BitCast(tag, hn::ShiftLeft<24 - 8 * kByte>(words));
  return hn::ConvertTo(FloatTag(), hn::ShiftRight<24>(top));
}

// Eight columns: those of the even nibbles of a word, and of the odd ones.
HWY_INLINE void DecodeWord(U32Vec word, FloatVec half_scale, FloatVec* values) {
  const U32Vec even = DoubledValues(word);
  const U32Vec odd = DoubledValues(hn::ShiftRight<4>(word));
  values[0] = hn::Mul(SignedByte<0>(even), half_scale);
  values[1] = hn::Mul(SignedByte<0>(odd), half_scale);
  values[2] = hn::Mul(SignedByte<1>(even), half_scale);
  values[3] = hn::Mul(SignedByte<1>(odd), half_scale);
  values[4] = hn::Mul(SignedByte<2>(even), half_scale);
  values[5] = hn::Mul(SignedByte<2>(odd), half_scale);
  values[6] = hn::Mul(SignedByte<3>(even), half_scale);
  values[7] = hn::Mul(SignedByte<3>(odd), half_scale);
}

template <typename T>
HWY_INLINE void DequantizeGroup(const uint8_t* packed, const uint8_t* scales, float global_scale,
                                T* target) {
  const FloatVec scale = hn::Mul(E4m3Values(LoadBlockBytes(scales)), SetFloat(global_scale));
  const FloatVec half_scale = hn::Mul(scale, SetFloat(0.5f));
  U32Vec low;
  U32Vec high;
  LoadBlockWords(packed, low, high);
  FloatVec values[kColumns];
  DecodeWord(low, half_scale, values);
  DecodeWord(high, half_scale, values + kPairs);
  StoreGroup(values, target);
}

template <typename T>
void DequantizeReals(std::span<const uint8_t> packed, std::span<const uint8_t> scales,
                     float global_scale, std::span<T> values) {
  const size_t blocks = scales.size();
  size_t block = 0;
  for (; block + kGroup <= blocks; block += kGroup) {
    PrefetchAhead(values.data() + block * kColumns, values.data() + values.size());
    DequantizeGroup(packed.data() + block * kPairs, scales.data() + block, global_scale,
                    values.data() + block * kColumns);
  }
  if (block == blocks) return;
  uint8_t last_packed[kGroup * kPairs] = {};
  uint8_t last_scales[kGroup] = {};
  T last[kGroupValues];
  std::copy(packed.begin() + block * kPairs, packed.end(), last_packed);
  std::copy(scales.begin() + block, scales.end(), last_scales);
  DequantizeGroup(last_packed, last_scales, global_scale, last);
  std::copy_n(last, (blocks - block) * kColumns, values.data() + block * kColumns);
}

void Dequantize(std::span<const uint8_t> packed, std::span<const uint8_t> scales,
                float global_scale, MutableRealSpan values) {
  const auto dequantize = [&](auto reals)
                              HWY_ATTR { DequantizeReals(packed, scales, global_scale, reals); };
  std::visit(dequantize, values);
}

#endif

}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vernier::quantizers {
namespace {

HWY_EXPORT(Dequantize);

// Half of the smallest scale must be a normal number.
bool KernelsServe(float global_scale) {
  return global_scale >= 0x1p-64f && global_scale <= 0x1p64f;
}

[[maybe_unused]] bool ShapesAgree(size_t packed, size_t scales, int64_t columns, size_t values) {
  return columns > 0 && columns % kNvfp4BlockSize == 0 &&
         values % static_cast<size_t>(columns) == 0 && packed == values / 2 &&
         scales == values / kNvfp4BlockSize;
}

}  // namespace

void DequantizeNvfp4(std::span<const uint8_t> packed, std::span<const uint8_t> scales,
                     [[maybe_unused]] int64_t columns, float global_scale, MutableRealSpan values) {
  assert(ShapesAgree(packed.size(), scales.size(), columns, SizeOf(values)));
  if (!KernelsServe(global_scale)) {
    return reference::DequantizeNvfp4(packed, scales, global_scale, values);
  }
  HWY_DYNAMIC_DISPATCH(Dequantize)(packed, scales, global_scale, values);
}

}  // namespace vernier::quantizers
#endif  // HWY_ONCE

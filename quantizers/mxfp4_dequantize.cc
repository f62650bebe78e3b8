// clang-format off
#include "quantizers/simd_dispatch.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantizers/mxfp4_dequantize.cc"
#include "hwy/foreach_target.h"
#include "quantizers/simd_formats-inl.h"
// clang-format on

#include <cassert>
#include <cstddef>

#include "quantizers/mxfp4.h"
#include "quantizers/mxfp4_reference.h"
#include "quantizers/mxfp4_tables.h"

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {
namespace {

#if VERNIER_SCALAR_TARGET

template <typename Real>
void DequantizeReals(std::span<const uint8_t> packed, std::span<const uint8_t> e8m0,
                     std::span<Real> values) {
  reference::DequantizeMxfp4(packed, e8m0, values);
}

#else

constexpr size_t kBlock = kMxfp4BlockSize;
constexpr size_t kBlockBytes = kBlock / 2;

using ByteTag = hn::ScalableTag<uint8_t>;
using ByteVec = hn::Vec<ByteTag>;

void StoreBf16(ByteVec bf16, uint16_t* target) {
  const hn::Repartition<uint16_t, ByteTag> tag;
  hn::StoreU(hn::BitCast(tag, bf16), tag, target);
}

// Every BF16 is an F32 with zeros below.
void StoreBf16(ByteVec bf16, float* target) {
  const hn::Repartition<uint16_t, ByteTag> tag;
  const hn::Half<decltype(tag)> half_tag;
  const auto words = hn::BitCast(tag, bf16);
  const U32Vec lower = hn::PromoteTo(U32Tag(), hn::LowerHalf(half_tag, words));
  const U32Vec upper = hn::PromoteTo(U32Tag(), hn::UpperHalf(half_tag, words));
  hn::StoreU(EvenBf16(lower), FloatTag(), target);
  hn::StoreU(EvenBf16(upper), FloatTag(), target + hn::Lanes(U32Tag()));
}

// One vector of BF16 results takes lanes / 4 packed bytes. Each is spread over the four bytes of
// its two results, the first pair of bytes made to hold the low nibble and the second the high one;
// nibbles then choose the bytes of their values from the block's two tables.
template <typename Real>
void DequantizeReals(std::span<const uint8_t> packed, std::span<const uint8_t> e8m0,
                     std::span<Real> values) {
  const ByteTag tag;
  const size_t lanes = hn::Lanes(tag);
  const U32Vec low_nibbles = SetU32(0x0000'0F0Fu);
  const U32Vec high_nibbles = SetU32(0x0F0F'0000u);
  for (size_t block = 0; block < e8m0.size(); ++block) {
    const Mxfp4Bf16Table& table = kMxfp4Bf16Tables[e8m0[block]];
    const ByteVec lower_bytes = hn::LoadDup128(tag, table.lower.data());
    const ByteVec upper_bytes = hn::LoadDup128(tag, table.upper.data());
    const ByteVec bytes = hn::LoadDup128(tag, packed.data() + block * kBlockBytes);
    Real* target = values.data() + block * kBlock;
    for (size_t done = 0; done < 2 * kBlock; done += lanes) {
      const ByteVec spread =
          hn::TableLookupBytes(bytes, hn::LoadU(tag, kMxfp4SpreadBytes.data() + done));
      const U32Vec words = hn::BitCast(U32Tag(), spread);
      const ByteVec nibbles = hn::BitCast(
          tag,
          hn::Or(hn::And(words, low_nibbles), hn::And(hn::ShiftRight<4>(words), high_nibbles)));
      StoreBf16(hn::OddEven(hn::TableLookupBytes(upper_bytes, nibbles),
                            hn::TableLookupBytes(lower_bytes, nibbles)),
                target + done / 2);
    }
  }
}

#endif  // VERNIER_SCALAR_TARGET

void Dequantize(std::span<const uint8_t> packed, std::span<const uint8_t> e8m0,
                MutableRealSpan values) {
  std::visit([&](auto reals) HWY_ATTR { DequantizeReals(packed, e8m0, reals); }, values);
}

}  // namespace
}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace vernier::quantizers {
namespace {

HWY_EXPORT(Dequantize);

}  // namespace

void DequantizeMxfp4(std::span<const uint8_t> packed, std::span<const uint8_t> e8m0,
                     [[maybe_unused]] int64_t columns, MutableRealSpan values) {
  assert(reference::Mxfp4ShapesAgree(SizeOf(values), packed.size(), e8m0.size(), columns));
  HWY_DYNAMIC_DISPATCH(Dequantize)(packed, e8m0, values);
}

}  // namespace vernier::quantizers

#endif  // HWY_ONCE

// Blocks of 16 values on vectors, once per target: a group is as many blocks as a vector of 32-bit
// lanes has lanes, and each lane holds one block. So sums and maxima over a block are plain vector
// operations, and a block's scale needs no broadcasting.
#if defined(VERNIER_QUANTIZERS_SIMD_BLOCKS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifndef VERNIER_QUANTIZERS_SIMD_BLOCKS_INL_H_
#define VERNIER_QUANTIZERS_SIMD_BLOCKS_INL_H_
#else
#undef VERNIER_QUANTIZERS_SIMD_BLOCKS_INL_H_
#endif

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "hwy/cache_control.h"
#include "quantizers/simd_formats-inl.h"

#if !VERNIER_SCALAR_TARGET

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {

inline constexpr size_t kGroup = HWY_MAX_BYTES / sizeof(float);  // lanes, and blocks of a group
inline constexpr size_t kPairs = 8;                              // pairs of columns of a block
inline constexpr size_t kColumns = 2 * kPairs;
static_assert(kGroup == 4 || kGroup == 8 || kGroup == 16);

// The block that a lane holds. Transposing moves only 128-bit parts, which leaves the blocks of a
// vector of 16 lanes in this order.
constexpr size_t BlockOfLane(size_t lane) {
  if (kGroup < 16) return lane;
  return 2 * (lane % 4) + (lane % 8 < 4 ? 0 : 8) + lane / 8;
}
constexpr size_t LaneOfBlock(size_t block) {
  size_t lane = 0;
  while (BlockOfLane(lane) != block) ++lane;
  return lane;
}

// Where a lane's block comes from when StoreBlockWords interleaves: the lower two lanes of every
// 128-bit part go to the first half of the blocks.
constexpr size_t LaneForInterleaving(size_t lane) {
  return LaneOfBlock(2 * (lane / 4) + lane % 2 + (lane % 4 < 2 ? 0 : kGroup / 2));
}

// Lane i of the result is lane kSource(i) of v.
template <size_t (*kSource)(size_t)>
HWY_INLINE U32Vec Rearrange(U32Vec v) {
  HWY_ALIGN static constexpr auto kIndices = [] {
    std::array<uint32_t, kGroup> indices{};
    for (size_t i = 0; i < kGroup; ++i) indices[i] = static_cast<uint32_t>(kSource(i));
    return indices;
  }();
  return hn::TableLookupLanes(v, hn::IndicesFromVec(U32Tag(), hn::Load(U32Tag(), kIndices.data())));
}

// Transposes 4 x 4 lanes within every 128-bit part.
HWY_INLINE void Transpose4(U32Vec& a, U32Vec& b, U32Vec& c, U32Vec& d) {
  const hn::Repartition<uint64_t, U32Tag> wide;
  const U32Tag narrow;
  const auto ab_low = hn::BitCast(wide, hn::InterleaveLower(narrow, a, b));
  const auto ab_high = hn::BitCast(wide, hn::InterleaveUpper(narrow, a, b));
  const auto cd_low = hn::BitCast(wide, hn::InterleaveLower(narrow, c, d));
  const auto cd_high = hn::BitCast(wide, hn::InterleaveUpper(narrow, c, d));
  a = hn::BitCast(narrow, hn::InterleaveLower(wide, ab_low, cd_low));
  b = hn::BitCast(narrow, hn::InterleaveUpper(wide, ab_low, cd_low));
  c = hn::BitCast(narrow, hn::InterleaveLower(wide, ab_high, cd_high));
  d = hn::BitCast(narrow, hn::InterleaveUpper(wide, ab_high, cd_high));
}

// v[i] and v[i + 4] exchange 128-bit parts as the elements of a 2 x 2 transposition do.
HWY_INLINE void ExchangeParts(U32Vec* v) {
  for (size_t i = 0; i < 4; ++i) {
    const U32Vec first = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(v[i + 4]), v[i]);
    v[i + 4] = hn::OddEvenBlocks(v[i + 4], hn::SwapAdjacentBlocks(v[i]));
    v[i] = first;
  }
}

// From memory order, in which 8 consecutive lanes are the words of one block, to the order in which
// v[i] holds word i of every block.
HWY_INLINE void BlocksToLanes(U32Vec* v) {
  if constexpr (kGroup == 4) {
    Transpose4(v[0], v[2], v[4], v[6]);
    Transpose4(v[1], v[3], v[5], v[7]);
    const U32Vec in[] = {v[0], v[2], v[4], v[6], v[1], v[3], v[5], v[7]};
    std::copy_n(in, kPairs, v);
  } else {
    Transpose4(v[0], v[1], v[2], v[3]);
    Transpose4(v[4], v[5], v[6], v[7]);
    ExchangeParts(v);
  }
}

HWY_INLINE void LanesToBlocks(U32Vec* v) {
  if constexpr (kGroup == 4) {
    const U32Vec in[] = {v[0], v[4], v[1], v[5], v[2], v[6], v[3], v[7]};
    std::copy_n(in, kPairs, v);
    Transpose4(v[0], v[2], v[4], v[6]);
    Transpose4(v[1], v[3], v[5], v[7]);
  } else {
    ExchangeParts(v);
    Transpose4(v[0], v[1], v[2], v[3]);
    Transpose4(v[4], v[5], v[6], v[7]);
  }
}

// Values of one group of blocks, and how far ahead of the work memory is asked for: about as much
// as arrives while the groups before are worked on. Hardware alone does not look past a page.
inline constexpr size_t kGroupValues = kGroup * kColumns;
inline constexpr size_t kBytesAhead = 4096;

// Asks for the group kBytesAhead after the one at `group`, if it is whole before `end`.
template <typename T>
HWY_INLINE void PrefetchAhead(const T* group, const T* end) {
  constexpr size_t kLine = 64 / sizeof(T);
  constexpr size_t kAhead = kBytesAhead / sizeof(T);
  if (static_cast<size_t>(end - group) < kAhead + kGroupValues) return;
  for (size_t i = 0; i < kGroupValues; i += kLine) hwy::Prefetch(group + kAhead + i);
}

// Loads a group: columns[i] holds column i of every block.
HWY_INLINE void LoadGroup(const uint16_t* bf16, FloatVec* columns) {
  const hn::Repartition<uint16_t, U32Tag> tag;
  U32Vec pairs[kPairs];
  for (size_t i = 0; i < kPairs; ++i) {
    pairs[i] = hn::BitCast(U32Tag(), hn::LoadU(tag, bf16 + 2 * i * kGroup));
  }
  BlocksToLanes(pairs);
  for (size_t i = 0; i < kPairs; ++i) {
    columns[2 * i] = EvenBf16(pairs[i]);
    columns[2 * i + 1] = OddBf16(pairs[i]);
  }
}

HWY_INLINE void LoadGroup(const float* values, FloatVec* columns) {
  U32Vec even[kPairs];
  U32Vec odd[kPairs];
  for (size_t i = 0; i < kPairs; ++i) {
    FloatVec low;
    FloatVec high;
    hn::LoadInterleaved2(FloatTag(), values + 2 * i * kGroup, low, high);
    even[i] = AsBits(low);
    odd[i] = AsBits(high);
  }
  BlocksToLanes(even);
  BlocksToLanes(odd);
  for (size_t i = 0; i < kPairs; ++i) {
    columns[2 * i] = AsFloat(even[i]);
    columns[2 * i + 1] = AsFloat(odd[i]);
  }
}

// The inverse of LoadGroup. To BF16 as RoundToUpperHalf does.
HWY_INLINE void StoreGroup(const FloatVec* columns, uint16_t* bf16) {
  const hn::Repartition<uint16_t, U32Tag> tag;
  U32Vec pairs[kPairs];
  for (size_t i = 0; i < kPairs; ++i) pairs[i] = PackBf16(columns[2 * i], columns[2 * i + 1]);
  LanesToBlocks(pairs);
  for (size_t i = 0; i < kPairs; ++i) {
    hn::StoreU(hn::BitCast(tag, pairs[i]), tag, bf16 + 2 * i * kGroup);
  }
}

HWY_INLINE void StoreGroup(const FloatVec* columns, float* values) {
  U32Vec even[kPairs];
  U32Vec odd[kPairs];
  for (size_t i = 0; i < kPairs; ++i) {
    even[i] = AsBits(columns[2 * i]);
    odd[i] = AsBits(columns[2 * i + 1]);
  }
  LanesToBlocks(even);
  LanesToBlocks(odd);
  for (size_t i = 0; i < kPairs; ++i) {
    hn::StoreInterleaved2(AsFloat(even[i]), AsFloat(odd[i]), FloatTag(), values + 2 * i * kGroup);
  }
}

// One byte per block.
HWY_INLINE U32Vec LoadBlockBytes(const uint8_t* bytes) {
  const hn::Rebind<uint8_t, U32Tag> tag;
  const U32Vec in_order = hn::PromoteTo(U32Tag(), hn::LoadU(tag, bytes));
  return kGroup < 16 ? in_order : Rearrange<BlockOfLane>(in_order);
}

HWY_INLINE void StoreBlockBytes(U32Vec lanes, uint8_t* bytes) {
  const hn::Rebind<uint8_t, U32Tag> tag;
  const U32Vec in_order = kGroup < 16 ? lanes : Rearrange<LaneOfBlock>(lanes);
  hn::StoreU(hn::U8FromU32(in_order), tag, bytes);
}

// Eight bytes per block, four in each of low and high, the first in the lowest bits.
HWY_INLINE void LoadBlockWords(const uint8_t* bytes, U32Vec& low, U32Vec& high) {
  const hn::Repartition<uint8_t, U32Tag> tag;
  const U32Vec first = hn::BitCast(U32Tag(), hn::LoadU(tag, bytes));
  const U32Vec second = hn::BitCast(U32Tag(), hn::LoadU(tag, bytes + 4 * kGroup));
  low = hn::ConcatEven(U32Tag(), second, first);
  high = hn::ConcatOdd(U32Tag(), second, first);
  if constexpr (kGroup == 16) {
    low = Rearrange<BlockOfLane>(low);
    high = Rearrange<BlockOfLane>(high);
  }
}

HWY_INLINE void StoreBlockWords(U32Vec low, U32Vec high, uint8_t* bytes) {
  const hn::Repartition<uint8_t, U32Tag> tag;
  if constexpr (kGroup > 4) {
    low = Rearrange<LaneForInterleaving>(low);
    high = Rearrange<LaneForInterleaving>(high);
  }
  const U32Vec first = hn::InterleaveLower(U32Tag(), low, high);
  const U32Vec second = hn::InterleaveUpper(U32Tag(), low, high);
  hn::StoreU(hn::BitCast(tag, first), tag, bytes);
  hn::StoreU(hn::BitCast(tag, second), tag, bytes + 4 * kGroup);
}

}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // !VERNIER_SCALAR_TARGET

#endif  // per-target include guard

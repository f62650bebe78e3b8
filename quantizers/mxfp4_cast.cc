// clang-format off
#include "quantizers/simd_dispatch.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantizers/mxfp4_cast.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// clang-format on

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>

#include "quantizers/mxfp4.h"
#include "quantizers/mxfp4_cast_reference.h"

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {
namespace {

using reference::kMxfp4BlockBytes;

#if VERNIER_SCALAR_TARGET

size_t CastVectors(std::span<const uint8_t>, std::span<const uint8_t>, int, std::span<uint8_t>,
                   std::span<uint8_t>) {
  return 0;
}

#else

namespace hn = hwy::HWY_NAMESPACE;
using ByteTag = hn::ScalableTag<uint8_t>;
using ByteVec = hn::Vec<ByteTag>;

// Negative zeros become zeros: adding 7 to a nibble's magnitude reaches its sign bit unless the
// magnitude is 0, and no carry leaves the nibble.
ByteVec WithoutNegativeZeros(ByteVec nibbles) {
  const ByteVec magnitude_mask = hn::Set(ByteTag(), 0x77);
  const ByteVec nonzero = hn::Add(hn::And(nibbles, magnitude_mask), magnitude_mask);
  return hn::And(nibbles, hn::Or(nonzero, magnitude_mask));
}

// E4M3 bytes of 2^(8 - below) for 0 <= below <= 17; the last three are denormals.
ByteVec ScaleBytes(ByteVec below) {
  const ByteTag tag;
  const ByteVec normal = hn::ShiftLeft<3>(hn::Sub(hn::Set(tag, 15), below));
  const auto is = [&](uint8_t value) HWY_ATTR { return hn::Eq(below, hn::Set(tag, value)); };
  ByteVec scale = hn::IfThenElse(is(15), hn::Set(tag, 4), normal);
  scale = hn::IfThenElse(is(16), hn::Set(tag, 2), scale);
  return hn::IfThenElse(is(17), hn::Set(tag, 1), scale);
}

// Casts as many blocks as fill vectors of scale bytes and end before one that needs re-encoding.
// Returns their number. The blocks of a vector that was abandoned are not written.
size_t CastVectors(std::span<const uint8_t> packed, std::span<const uint8_t> e8m0, int k_max,
                   std::span<uint8_t> packed_out, std::span<uint8_t> scales_out) {
  const ByteTag tag;
  const size_t lanes = hn::Lanes(tag);
  const ByteVec top = hn::Set(tag, static_cast<uint8_t>(k_max + kE8m0Bias));
  const ByteVec range = hn::Set(tag, kLosslessExponentRange);
  size_t block = 0;
  for (; block + lanes <= e8m0.size(); block += lanes) {
    const ByteVec below = hn::Sub(top, hn::LoadU(tag, &e8m0[block]));
    if (!hn::AllFalse(tag, hn::Gt(below, range))) break;
    const ByteVec scales = ScaleBytes(below);
    hn::StoreInterleaved2(scales, scales, tag, &scales_out[2 * block]);
    const size_t end = (block + lanes) * kMxfp4BlockBytes;
    for (size_t i = block * kMxfp4BlockBytes; i < end; i += lanes) {
      hn::StoreU(WithoutNegativeZeros(hn::LoadU(tag, &packed[i])), tag, &packed_out[i]);
    }
  }
  return block;
}

#endif  // VERNIER_SCALAR_TARGET

}  // namespace
}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace vernier::quantizers {
namespace {

HWY_EXPORT(CastVectors);

// Blocks that go through the scalar definition together when one of them is out of range.
constexpr size_t kSlowBlocks = 64;

[[maybe_unused]] bool ShapesAgree(size_t packed, size_t e8m0, int64_t columns) {
  return columns > 0 && columns % kMxfp4BlockSize == 0 &&
         packed % static_cast<size_t>(columns / 2) == 0 &&
         packed == e8m0 * reference::kMxfp4BlockBytes;
}

}  // namespace

void MaxExponent::Merge(const MaxExponent& other) {
  if (!other.any) return;
  exponent = any ? std::max(exponent, other.exponent) : other.exponent;
  any = true;
}

MaxExponent FindMaxExponent(std::span<const uint8_t> e8m0) {
  uint8_t largest = 0;
  for (const uint8_t byte : e8m0) largest = std::max(largest, byte);
  if (largest == 0) return {};
  return {true, largest - kE8m0Bias};
}

float LosslessGlobalScale(int k_max) {
  return std::ldexp(1.0f, k_max - reference::kTopScaleExponent);
}

void CastStats::Merge(const CastStats& other) {
  blocks += other.blocks;
  requantised += other.requantised;
  inexact += other.inexact;
}

CastStats CastMxfp4ToNvfp4(std::span<const uint8_t> packed, std::span<const uint8_t> e8m0,
                           [[maybe_unused]] int64_t columns, int k_max,
                           std::span<uint8_t> packed_out, std::span<uint8_t> scales_out) {
  assert(ShapesAgree(packed.size(), e8m0.size(), columns));
  assert(packed_out.size() == packed.size() && scales_out.size() == 2 * e8m0.size());
  assert(k_max >= -kE8m0Bias && k_max <= kE8m0Bias);
  constexpr size_t kBytes = reference::kMxfp4BlockBytes;
  CastStats stats;
  size_t block = 0;
  while (block < e8m0.size()) {
    const size_t fast = HWY_DYNAMIC_DISPATCH(CastVectors)(
        packed.subspan(block * kBytes), e8m0.subspan(block), k_max,
        packed_out.subspan(block * kBytes), scales_out.subspan(block * 2));
    stats.blocks += static_cast<int64_t>(fast);
    block += fast;
    const size_t slow = std::min(kSlowBlocks, e8m0.size() - block);
    stats.Merge(reference::CastMxfp4ToNvfp4(packed.subspan(block * kBytes, slow * kBytes),
                                            e8m0.subspan(block, slow), k_max,
                                            packed_out.subspan(block * kBytes, slow * kBytes),
                                            scales_out.subspan(block * 2, slow * 2)));
    block += slow;
  }
  return stats;
}

}  // namespace vernier::quantizers

#endif  // HWY_ONCE

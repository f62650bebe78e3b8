#include "quantizers/mxfp4.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstddef>

#include "quantizers/float_formats.h"

namespace vernier::quantizers {
namespace {

constexpr size_t kBlockBytes = kMxfp4BlockSize / 2;
constexpr int kTopScaleExponent = 8;  // E4M3 scale of the block with the largest exponent: 2^8

// Re-encoding of a byte of two nibbles whose values shrink by 2^-shift.
struct ByteRecode {
  std::array<uint8_t, 256> bytes{};
  std::array<uint8_t, 256> changed{};  // 1 when a value is no longer the same
};

// From this shift on every magnitude rounds to zero: 6 * 2^-5 < 0.25.
constexpr int kMaxShift = 5;

constexpr ByteRecode MakeByteRecode(int shift) {
  ByteRecode recode;
  const float factor = 1.0f / static_cast<float>(1 << shift);
  for (size_t byte = 0; byte < 256; ++byte) {
    const float low = kE2m1Values[byte & 0xF] * factor;
    const float high = kE2m1Values[byte >> 4] * factor;
    const uint8_t low_code = FloatToE2m1(low);
    const uint8_t high_code = FloatToE2m1(high);
    recode.bytes[byte] = static_cast<uint8_t>(low_code | (high_code << 4));
    recode.changed[byte] = kE2m1Values[low_code] != low || kE2m1Values[high_code] != high;
  }
  return recode;
}

// Entry 0 only turns negative zeros into zeros.
constexpr std::array<ByteRecode, kMaxShift + 1> kRecodes = {MakeByteRecode(0), MakeByteRecode(1),
                                                            MakeByteRecode(2), MakeByteRecode(3),
                                                            MakeByteRecode(4), MakeByteRecode(5)};

// Returns whether a value changed.
bool RecodeBlock(const ByteRecode& recode, const uint8_t* source, uint8_t* target) {
  uint8_t changed = 0;
  for (size_t i = 0; i < kBlockBytes; ++i) {
    target[i] = recode.bytes[source[i]];
    changed |= recode.changed[source[i]];
  }
  return changed != 0;
}

[[maybe_unused]] bool ShapesAgree(size_t packed, size_t e8m0, int64_t columns) {
  return columns > 0 && columns % kMxfp4BlockSize == 0 &&
         packed % static_cast<size_t>(columns / 2) == 0 && packed == e8m0 * kBlockBytes;
}

}  // namespace

void DequantizeMxfp4(std::span<const uint8_t> packed, std::span<const uint8_t> e8m0,
                     [[maybe_unused]] int64_t columns, std::span<float> values) {
  assert(ShapesAgree(packed.size(), e8m0.size(), columns) && values.size() == 2 * packed.size());
  for (size_t block = 0; block < e8m0.size(); ++block) {
    const float scale = E8m0ToFloat(e8m0[block]);
    const uint8_t* source = packed.data() + block * kBlockBytes;
    float* target = values.data() + block * 2 * kBlockBytes;
    for (size_t i = 0; i < kBlockBytes; ++i) {
      target[2 * i] = kE2m1Values[source[i] & 0xF] * scale;
      target[2 * i + 1] = kE2m1Values[source[i] >> 4] * scale;
    }
  }
}

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

float LosslessGlobalScale(int k_max) { return std::ldexp(1.0f, k_max - kTopScaleExponent); }

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
  CastStats stats;
  stats.blocks = static_cast<int64_t>(e8m0.size());
  for (size_t block = 0; block < e8m0.size(); ++block) {
    const int below = k_max - (e8m0[block] - kE8m0Bias);
    assert(below >= 0 && e8m0[block] != 0xFF);
    const int shift = std::clamp(below - kLosslessExponentRange, 0, kMaxShift);
    const int scale_exponent = kTopScaleExponent - std::clamp(below, 0, kLosslessExponentRange);
    const bool changed = RecodeBlock(kRecodes[shift], packed.data() + block * kBlockBytes,
                                     packed_out.data() + block * kBlockBytes);
    const uint8_t scale = FloatToE4m3(std::ldexp(1.0f, scale_exponent));
    scales_out[2 * block] = scale;
    scales_out[2 * block + 1] = scale;
    stats.requantised += shift > 0;
    stats.inexact += changed;
  }
  return stats;
}

}  // namespace vernier::quantizers

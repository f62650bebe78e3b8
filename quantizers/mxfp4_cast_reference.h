// The obvious, slow definition of the cast from MXFP4 to NVFP4; mxfp4.h describes it and its fast
// function equals it bit for bit, in the statistics too.
#ifndef VERNIER_QUANTIZERS_MXFP4_CAST_REFERENCE_H_
#define VERNIER_QUANTIZERS_MXFP4_CAST_REFERENCE_H_

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "quantizers/float_formats.h"
#include "quantizers/mxfp4.h"

namespace vernier::quantizers::reference {

inline constexpr size_t kMxfp4BlockBytes = kMxfp4BlockSize / 2;
// E4M3 scale of the block with the largest exponent: 2^8.
inline constexpr int kTopScaleExponent = 8;

// Re-encoding of a byte of two nibbles whose values shrink by 2^-shift.
struct ByteRecode {
  std::array<uint8_t, 256> bytes{};
  std::array<uint8_t, 256> changed{};  // 1 when a value is no longer the same
};

// From this shift on every magnitude rounds to zero: 6 * 2^-5 < 0.25.
inline constexpr int kMaxShift = 5;

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
inline constexpr std::array<ByteRecode, kMaxShift + 1> kRecodes = {
    MakeByteRecode(0), MakeByteRecode(1), MakeByteRecode(2),
    MakeByteRecode(3), MakeByteRecode(4), MakeByteRecode(5)};

// Returns whether a value changed. `target` may be `source`.
inline bool RecodeBlock(const ByteRecode& recode, const uint8_t* source, uint8_t* target) {
  uint8_t changed = 0;
  for (size_t i = 0; i < kMxfp4BlockBytes; ++i) {
    const uint8_t byte = source[i];
    target[i] = recode.bytes[byte];
    changed |= recode.changed[byte];
  }
  return changed != 0;
}

inline CastStats CastMxfp4ToNvfp4(std::span<const uint8_t> packed, std::span<const uint8_t> e8m0,
                                  int k_max, std::span<uint8_t> packed_out,
                                  std::span<uint8_t> scales_out) {
  CastStats stats;
  stats.blocks = static_cast<int64_t>(e8m0.size());
  for (size_t block = 0; block < e8m0.size(); ++block) {
    const int below = k_max - (e8m0[block] - kE8m0Bias);
    assert(below >= 0 && e8m0[block] != 0xFF);
    const auto shift =
        static_cast<size_t>(std::clamp(below - kLosslessExponentRange, 0, kMaxShift));
    const int scale_exponent = kTopScaleExponent - std::clamp(below, 0, kLosslessExponentRange);
    const bool changed = RecodeBlock(kRecodes[shift], packed.data() + block * kMxfp4BlockBytes,
                                     packed_out.data() + block * kMxfp4BlockBytes);
    const uint8_t scale = FloatToE4m3(std::ldexp(1.0f, scale_exponent));
    scales_out[2 * block] = scale;
    scales_out[2 * block + 1] = scale;
    stats.requantised += shift > 0;
    stats.inexact += changed;
  }
  return stats;
}

}  // namespace vernier::quantizers::reference

#endif  // VERNIER_QUANTIZERS_MXFP4_CAST_REFERENCE_H_

#include "quantizers/ggml_blocks.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "quantizers/float_formats.h"

namespace vernier::quantizers {
namespace {

constexpr size_t kMxfp4Codes = 16, kMxfp4Block = 17;
constexpr size_t kNvfp4Codes = 32, kNvfp4Scales = 4, kNvfp4Block = 36;
constexpr size_t kQ8Codes = 32, kQ8Scale = 2, kQ8Block = 34;
constexpr float kQ8Largest = 127;
constexpr float kF16Largest = 65504;

float ToFloat(float value) { return value; }
float ToFloat(uint16_t bf16) { return Bf16ToFloat(bf16); }

// Eight nibbles, the lowest first, as eight bytes.
uint64_t Spread(uint64_t nibbles) {
  nibbles &= 0xFFFFFFFFU;
  nibbles = (nibbles | nibbles << 16U) & 0x0000FFFF0000FFFFU;
  nibbles = (nibbles | nibbles << 8U) & 0x00FF00FF00FF00FFU;
  return (nibbles | nibbles << 4U) & 0x0F0F0F0F0F0F0F0FU;
}

uint64_t Load(const uint8_t* bytes) {
  uint64_t value = 0;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

void Store(uint64_t value, uint8_t* bytes) { std::memcpy(bytes, &value, sizeof(value)); }

template <typename Value>
void QuantizeBlock(std::span<const Value> values, uint8_t* codes, uint8_t* scale) {
  float amax = 0;
  for (const Value value : values) amax = std::max(amax, std::fabs(ToFloat(value)));
  const float d = std::min(amax / kQ8Largest, kF16Largest);  // larger values saturate
  const float inverse = 1 / d;
  const bool vanishes = !std::isfinite(inverse);  // beside an F16 scale, which is 0
  for (size_t i = 0; i < values.size(); ++i) {
    const float code = vanishes ? 0 : std::round(ToFloat(values[i]) * inverse);
    codes[i] = static_cast<uint8_t>(static_cast<int8_t>(std::clamp(code, -kQ8Largest, kQ8Largest)));
  }
  const uint16_t bits = FloatToF16(d);
  std::memcpy(scale, &bits, sizeof(bits));
}

}  // namespace

void QuantizeQ8Zero(RealSpan values, std::span<uint8_t> codes, std::span<uint8_t> scales) {
  std::visit(
      [&](auto reals) {
        assert(codes.size() == reals.size() && scales.size() == reals.size() / kQ8Codes * kQ8Scale);
        for (size_t block = 0; block < reals.size() / kQ8Codes; ++block) {
          QuantizeBlock(reals.subspan(block * kQ8Codes, kQ8Codes), &codes[block * kQ8Codes],
                        &scales[block * kQ8Scale]);
        }
      },
      values);
}

void PackGgmlQ8Zero(std::span<const uint8_t> codes, std::span<const uint8_t> scales,
                    std::span<uint8_t> blocks) {
  assert(codes.size() / kQ8Codes * kQ8Block == blocks.size());
  for (size_t block = 0; block < blocks.size() / kQ8Block; ++block) {
    uint8_t* out = &blocks[block * kQ8Block];
    std::memcpy(out, &scales[block * kQ8Scale], kQ8Scale);
    std::memcpy(out + kQ8Scale, &codes[block * kQ8Codes], kQ8Codes);
  }
}

void PackGgmlMxfp4(std::span<const uint8_t> codes, std::span<const uint8_t> scales,
                   std::span<uint8_t> blocks) {
  assert(codes.size() / kMxfp4Codes * kMxfp4Block == blocks.size());
  for (size_t block = 0; block < blocks.size() / kMxfp4Block; ++block) {
    uint8_t* out = &blocks[block * kMxfp4Block];
    const uint64_t first = Load(&codes[block * kMxfp4Codes]);
    const uint64_t second = Load(&codes[block * kMxfp4Codes + 8]);
    *out = scales[block];
    Store(Spread(first) | Spread(second) << 4U, out + 1);
    Store(Spread(first >> 32U) | Spread(second >> 32U) << 4U, out + 9);
  }
}

void PackGgmlNvfp4(std::span<const uint8_t> codes, std::span<const uint8_t> scales,
                   std::span<uint8_t> blocks) {
  assert(codes.size() / kNvfp4Codes * kNvfp4Block == blocks.size());
  constexpr uint8_t kWithoutSign = 0x7F;
  for (size_t block = 0; block < blocks.size() / kNvfp4Block; ++block) {
    uint8_t* out = &blocks[block * kNvfp4Block];
    for (size_t i = 0; i < kNvfp4Scales; ++i) {
      out[i] = scales[block * kNvfp4Scales + i] & kWithoutSign;
      const uint64_t values = Load(&codes[block * kNvfp4Codes + 8 * i]);
      Store(Spread(values) | Spread(values >> 32U) << 4U, out + kNvfp4Scales + 8 * i);
    }
  }
}

}  // namespace vernier::quantizers

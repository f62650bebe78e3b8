#include "quantizers/nvfp4.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>

#include "quantizers/float_formats.h"

namespace vernier::quantizers {
namespace {

constexpr size_t kBlock = kNvfp4BlockSize;

float BlockAmax(const float* values) {
  float amax = 0.0f;
  for (size_t i = 0; i < kBlock; ++i) {
    const float magnitude = std::fabs(values[i]);
    amax = magnitude > amax ? magnitude : amax;
  }
  return amax;
}

// Clamping before the cast, and in this order, keeps NaN out whatever the inputs are.
uint8_t EncodeBlockScale(float amax, float global_scale) {
  float scale = amax / (kE2m1Max * global_scale);
  if (scale == 0.0f) scale = 1.0f;
  scale = scale > kE4m3MinPositive ? scale : kE4m3MinPositive;
  scale = scale < kE4m3Max ? scale : kE4m3Max;
  return FloatToE4m3(scale);
}

void EncodeBlock(const float* values, float scale, uint8_t* packed) {
  uint8_t codes[kBlock];
  for (size_t i = 0; i < kBlock; ++i) codes[i] = FloatToE2m1(values[i] / scale);
  for (size_t i = 0; i < kBlock / 2; ++i) {
    packed[i] = static_cast<uint8_t>(codes[2 * i] | (codes[2 * i + 1] << 4));
  }
}

[[maybe_unused]] bool ShapesAgree(size_t values, int64_t columns, size_t packed, size_t scales) {
  return columns > 0 && columns % kNvfp4BlockSize == 0 &&
         values % static_cast<size_t>(columns) == 0 && packed == values / 2 &&
         scales == values / kBlock;
}

}  // namespace

float Nvfp4GlobalScale(float amax) {
  assert(std::isfinite(amax) && amax >= 0.0f);
  if (amax == 0.0f) return 1.0f;
  return std::max(amax / (kE2m1Max * kE4m3Max), kNvfp4MinGlobalScale);
}

void QuantizeNvfp4(std::span<const float> values, [[maybe_unused]] int64_t columns,
                   float global_scale, std::span<uint8_t> packed, std::span<uint8_t> scales) {
  assert(ShapesAgree(values.size(), columns, packed.size(), scales.size()));
  assert(std::isfinite(global_scale) && global_scale >= kNvfp4MinGlobalScale);
  for (size_t block = 0; block < scales.size(); ++block) {
    const float* source = values.data() + block * kBlock;
    scales[block] = EncodeBlockScale(BlockAmax(source), global_scale);
    const float scale = E4m3ToFloat(scales[block]) * global_scale;
    EncodeBlock(source, scale, packed.data() + block * (kBlock / 2));
  }
}

void DequantizeNvfp4(std::span<const uint8_t> packed, std::span<const uint8_t> scales,
                     [[maybe_unused]] int64_t columns, float global_scale,
                     std::span<float> values) {
  assert(ShapesAgree(values.size(), columns, packed.size(), scales.size()));
  for (size_t block = 0; block < scales.size(); ++block) {
    const float scale = E4m3ToFloat(scales[block]) * global_scale;
    const uint8_t* source = packed.data() + block * (kBlock / 2);
    float* target = values.data() + block * kBlock;
    for (size_t i = 0; i < kBlock / 2; ++i) {
      target[2 * i] = kE2m1Values[source[i] & 0xF] * scale;
      target[2 * i + 1] = kE2m1Values[source[i] >> 4] * scale;
    }
  }
}

}  // namespace vernier::quantizers

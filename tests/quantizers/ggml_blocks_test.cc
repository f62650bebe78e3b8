// The places of codes and scales in ggml's blocks, each written out by its definition, and Q8_0's
// numbers.
#include "quantizers/ggml_blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "quantizers/float_formats.h"

namespace vernier::quantizers {
namespace {

std::vector<uint8_t> SomeBytes(size_t count, uint32_t seed) {
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) {
    seed = seed * 1664525u + 1013904223u;
    byte = static_cast<uint8_t>(seed >> 24);
  }
  return bytes;
}

// Value `i` of rows of nibbles, the even one low.
int Nibble(const std::vector<uint8_t>& codes, size_t i) { return codes[i / 2] >> (i % 2 * 4) & 15; }

TEST(GgmlBlocks, Mxfp4HasItsHalvesInOneByteEach) {
  constexpr size_t kBlocks = 5;
  const std::vector<uint8_t> codes = SomeBytes(16 * kBlocks, 1), scales = SomeBytes(kBlocks, 2);
  std::vector<uint8_t> blocks(17 * kBlocks);
  PackGgmlMxfp4(codes, scales, blocks);
  for (size_t block = 0; block < kBlocks; ++block) {
    EXPECT_EQ(blocks[17 * block], scales[block]);
    for (size_t i = 0; i < 16; ++i) {
      const uint8_t byte = blocks[17 * block + 1 + i];
      EXPECT_EQ(byte & 15, Nibble(codes, 32 * block + i));
      EXPECT_EQ(byte >> 4, Nibble(codes, 32 * block + 16 + i));
    }
  }
}

TEST(GgmlBlocks, Nvfp4HasFourScalesAndTheirValuesByHalves) {
  constexpr size_t kBlocks = 3;
  const std::vector<uint8_t> codes = SomeBytes(32 * kBlocks, 3), scales = SomeBytes(4 * kBlocks, 4);
  std::vector<uint8_t> blocks(36 * kBlocks);
  PackGgmlNvfp4(codes, scales, blocks);
  for (size_t group = 0; group < 4 * kBlocks; ++group) {
    const uint8_t* block = &blocks[group / 4 * 36];
    EXPECT_EQ(block[group % 4], scales[group] & 0x7F);
    for (size_t i = 0; i < 8; ++i) {
      const uint8_t byte = block[4 + group % 4 * 8 + i];
      EXPECT_EQ(byte & 15, Nibble(codes, 16 * group + i));
      EXPECT_EQ(byte >> 4, Nibble(codes, 16 * group + 8 + i));
    }
  }
}

TEST(GgmlBlocks, Q8ZeroHasTheScaleFirst) {
  const std::vector<uint8_t> codes = SomeBytes(64, 5), scales = SomeBytes(4, 6);
  std::vector<uint8_t> blocks(68);
  PackGgmlQ8Zero(codes, scales, blocks);
  for (size_t block = 0; block < 2; ++block) {
    EXPECT_EQ(std::memcmp(&blocks[34 * block], &scales[2 * block], 2), 0);
    EXPECT_EQ(std::memcmp(&blocks[34 * block + 2], &codes[32 * block], 32), 0);
  }
}

TEST(QuantizeQ8Zero, CodesAreQuotientsByTheUnroundedScale) {
  std::vector<float> values(64);
  for (size_t i = 0; i < 32; ++i) values[i] = static_cast<float>(i) - 20.0F;  // then zeros
  std::vector<uint8_t> codes(64), scales(4);
  QuantizeQ8Zero(std::span<const float>(values), codes, scales);
  uint16_t bits[2];
  std::memcpy(bits, scales.data(), sizeof(bits));
  const float d = 20.0F / 127.0F;
  EXPECT_EQ(bits[0], FloatToF16(d));
  EXPECT_EQ(bits[1], 0);
  for (size_t i = 0; i < 32; ++i) {
    EXPECT_EQ(static_cast<int8_t>(codes[i]), std::round(values[i] * (1 / d))) << i;
    EXPECT_EQ(codes[32 + i], 0);
  }
  std::vector<uint16_t> bf16(64);
  for (size_t i = 0; i < 64; ++i) bf16[i] = FloatToBf16(values[i]);
  std::vector<uint8_t> same(64), same_scales(4);
  QuantizeQ8Zero(std::span<const uint16_t>(bf16), same, same_scales);
  EXPECT_EQ(same, codes);
  EXPECT_EQ(same_scales, scales);
}

// An F16 scale holds neither: the first would be infinite.
TEST(QuantizeQ8Zero, WhatNoScaleHoldsSaturatesOrVanishes) {
  std::vector<float> values(64, 1e-39F);
  values[0] = 3.3e7F;
  values[1] = -3.3e7F;
  std::vector<uint8_t> codes(64), scales(4);
  QuantizeQ8Zero(std::span<const float>(values), codes, scales);
  uint16_t bits[2];
  std::memcpy(bits, scales.data(), sizeof(bits));
  EXPECT_EQ(F16ToFloat(bits[0]), 65504.0F);
  EXPECT_EQ(static_cast<int8_t>(codes[0]), 127);
  EXPECT_EQ(static_cast<int8_t>(codes[1]), -127);
  EXPECT_EQ(bits[1], 0);
  EXPECT_EQ(codes[40], 0);
}

TEST(FloatToF16, RoundTripsEveryNumberAndRoundsToEven) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = F16ToFloat(static_cast<uint16_t>(bits));
    if (std::isnan(value)) continue;
    EXPECT_EQ(FloatToF16(value), bits);
    const float next = F16ToFloat(static_cast<uint16_t>(bits + 1));
    if (std::isnan(next) || std::isinf(next) || std::isinf(value)) continue;
    if (std::signbit(value) != std::signbit(next)) continue;
    const float middle = value / 2 + next / 2;
    EXPECT_EQ(FloatToF16(middle), (bits & 1U) == 0 ? bits : bits + 1);
  }
  EXPECT_EQ(FloatToF16(65520.0F), 0x7C00);
  EXPECT_EQ(FloatToF16(65519.0F), 0x7BFF);
}

}  // namespace
}  // namespace vernier::quantizers

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "quantizers/float_formats.h"
#include "quantizers/mxfp4.h"
#include "quantizers/mxfp4_cast_reference.h"
#include "quantizers/nvfp4.h"
#include "tests/quantizers/format_inputs.h"
#include "tests/quantizers/golden_file.h"

namespace vernier::quantizers {
namespace {

struct Cast {
  std::vector<uint8_t> packed;
  std::vector<uint8_t> scales;
  CastStats stats;
};

Cast CastBytes(const std::vector<uint8_t>& packed, const std::vector<uint8_t>& e8m0, int k_max) {
  Cast cast{std::vector<uint8_t>(packed.size()), std::vector<uint8_t>(2 * e8m0.size()), {}};
  cast.stats = CastMxfp4ToNvfp4(packed, e8m0, kMxfp4BlockSize, k_max, cast.packed, cast.scales);
  return cast;
}

std::vector<float> Dequantize(const std::vector<uint8_t>& packed,
                              const std::vector<uint8_t>& e8m0) {
  std::vector<float> values(2 * packed.size());
  DequantizeMxfp4(packed, e8m0, kMxfp4BlockSize, values);
  return values;
}

std::vector<float> DequantizeCast(const Cast& cast, int k_max) {
  std::vector<float> values(2 * cast.packed.size());
  DequantizeNvfp4(cast.packed, cast.scales, kNvfp4BlockSize, LosslessGlobalScale(k_max), values);
  return values;
}

class Mxfp4CastGolden : public ::testing::TestWithParam<std::string> {
 protected:
  GoldenFile golden_{"modelopt_mxfp4.safetensors"};
};

TEST_P(Mxfp4CastGolden, CastIsByteEqualToModelOpt) {
  const auto packed = golden_.Bytes(GetParam() + ".packed");
  const auto e8m0 = golden_.Bytes(GetParam() + ".e8m0");
  const int k_max = FindMaxExponent(e8m0).ValueOrZero();
  EXPECT_EQ(LosslessGlobalScale(k_max), golden_.Floats(GetParam() + ".nvfp4_scale_2").at(0));
  OnEveryTarget([&] {
    const Cast cast = CastBytes(packed, e8m0, k_max);
    EXPECT_EQ(cast.scales, golden_.Bytes(GetParam() + ".nvfp4_scale"));
    EXPECT_EQ(cast.packed, golden_.Bytes(GetParam() + ".nvfp4_packed"));
  });
}

INSTANTIATE_TEST_SUITE_P(Cases, Mxfp4CastGolden, ::testing::Values("normal", "wide", "zeros"),
                         [](const auto& info) { return info.param; });

TEST(Mxfp4Cast, StatsCountTheGoldenWideCase) {
  const GoldenFile golden("modelopt_mxfp4.safetensors");
  const auto e8m0 = golden.Bytes("wide.e8m0");
  const Cast cast = CastBytes(golden.Bytes("wide.packed"), e8m0, 5);
  EXPECT_EQ(cast.stats.blocks, 512);
  EXPECT_EQ(cast.stats.requantised, 172);
  EXPECT_GT(cast.stats.inexact, 0);
  EXPECT_LE(cast.stats.inexact, cast.stats.requantised);
}

// Long stretches in range with, now and then, a block that is not: both ways through the cast, at
// every alignment of one to the other.
TEST(Mxfp4Cast, EqualsTheDefinitionInBytesAndStatistics) {
  std::mt19937 random(17);
  OnEveryTarget([&] {
    for (const int rarity : {1, 3, 100, 1000}) {
      const size_t blocks = 700 + random() % 64;
      const auto packed = RandomBytes(blocks * 16);
      std::vector<uint8_t> e8m0(blocks);
      for (uint8_t& byte : e8m0) {
        const bool below = rarity > 1 && random() % static_cast<uint32_t>(rarity) == 0;
        byte = static_cast<uint8_t>(below ? random() % 110 : 110 + random() % 18);
      }
      const Cast actual = CastBytes(packed, e8m0, 0);
      Cast expected{std::vector<uint8_t>(packed.size()), std::vector<uint8_t>(2 * blocks), {}};
      expected.stats =
          reference::CastMxfp4ToNvfp4(packed, e8m0, 0, expected.packed, expected.scales);
      EXPECT_EQ(actual.packed, expected.packed);
      EXPECT_EQ(actual.scales, expected.scales);
      EXPECT_EQ(actual.stats.blocks, static_cast<int64_t>(blocks));
      EXPECT_EQ(actual.stats.requantised, expected.stats.requantised);
      EXPECT_EQ(actual.stats.inexact, expected.stats.inexact);
    }
  });
}

TEST(Mxfp4Cast, WorksInPlace) {
  auto bytes = RandomBytes(300 * 16);
  std::vector<uint8_t> e8m0(300, 120);
  e8m0[130] = 90;
  const Cast expected = CastBytes(bytes, e8m0, 0);
  std::vector<uint8_t> scales(2 * e8m0.size());
  const CastStats stats = CastMxfp4ToNvfp4(bytes, e8m0, kMxfp4BlockSize, 0, bytes, scales);
  EXPECT_EQ(bytes, expected.packed);
  EXPECT_EQ(scales, expected.scales);
  EXPECT_EQ(stats.inexact, expected.stats.inexact);
}

// Long enough for every vector: every byte under every exponent in range.
TEST(Mxfp4Cast, EveryByteUnderEveryExponentInRange) {
  std::vector<uint8_t> packed;
  std::vector<uint8_t> e8m0;
  for (int exponent = 0; exponent <= kLosslessExponentRange; ++exponent) {
    for (int byte = 0; byte < 256; ++byte) packed.push_back(static_cast<uint8_t>(byte));
    e8m0.insert(e8m0.end(), 16, static_cast<uint8_t>(kE8m0Bias - exponent));
  }
  const auto values = Dequantize(packed, e8m0);
  OnEveryTarget([&] {
    const Cast cast = CastBytes(packed, e8m0, 0);
    EXPECT_EQ(DequantizeCast(cast, 0), values);
    EXPECT_EQ(cast.stats.requantised, 0);
    for (const uint8_t byte : cast.packed) {
      EXPECT_NE(byte & 0x0F, 0x08);
      EXPECT_NE(byte & 0xF0, 0x80);
    }
  });
}

// Every byte at every distance from the largest exponent.
TEST(Mxfp4Cast, KeepsEveryValueWithinSeventeenBinades) {
  std::vector<uint8_t> all_bytes(256);
  for (size_t i = 0; i < all_bytes.size(); ++i) all_bytes[i] = static_cast<uint8_t>(i);
  for (int k_max : {-100, -3, 0, 60, 127}) {
    for (int below = 0; below <= kLosslessExponentRange; ++below) {
      const std::vector<uint8_t> e8m0(16, static_cast<uint8_t>(k_max - below + kE8m0Bias));
      const Cast cast = CastBytes(all_bytes, e8m0, k_max);
      EXPECT_EQ(DequantizeCast(cast, k_max), Dequantize(all_bytes, e8m0)) << k_max << " " << below;
      EXPECT_EQ(cast.stats.requantised, 0);
      EXPECT_EQ(cast.stats.inexact, 0);
    }
  }
}

// Below the exact range the cast must equal quantising the values against the scale 2^-9.
TEST(Mxfp4Cast, ReencodesLowerBlocksAsTheQuantiserDoes) {
  std::vector<uint8_t> all_bytes(256);
  for (size_t i = 0; i < all_bytes.size(); ++i) all_bytes[i] = static_cast<uint8_t>(i);
  constexpr int kMax = 0;
  for (int below = kLosslessExponentRange + 1; below <= 127; ++below) {
    const std::vector<uint8_t> e8m0(16, static_cast<uint8_t>(kMax - below + kE8m0Bias));
    const Cast cast = CastBytes(all_bytes, e8m0, kMax);
    const auto values = Dequantize(all_bytes, e8m0);
    const float scale = kE4m3MinPositive * LosslessGlobalScale(kMax);
    for (size_t i = 0; i < values.size(); ++i) {
      const int code = (cast.packed[i / 2] >> (i % 2 * 4)) & 0xF;
      ASSERT_EQ(code, FloatToE2m1(values[i] / scale)) << below << " " << i;
    }
    EXPECT_EQ(cast.scales, std::vector<uint8_t>(32, 0x01));
    EXPECT_EQ(cast.stats.requantised, 16);
    EXPECT_EQ(DequantizeCast(cast, kMax) == values, cast.stats.inexact == 0);
  }
}

TEST(Mxfp4Cast, ExactReencodingIsNotCountedAsInexact) {
  const std::vector<uint8_t> twos(16, 0x44);  // 2.0: one binade down is 1.0, exactly
  const Cast cast = CastBytes(twos, {static_cast<uint8_t>(kE8m0Bias - 18)}, 0);
  EXPECT_EQ(cast.stats.requantised, 1);
  EXPECT_EQ(cast.stats.inexact, 0);
  EXPECT_EQ(cast.packed, std::vector<uint8_t>(16, 0x22));
}

TEST(Mxfp4Cast, AllZeroTensorHasTheSmallestScale) {
  const std::vector<uint8_t> negative_zeros(16, 0x88);
  const Cast cast =
      CastBytes(negative_zeros, {0}, FindMaxExponent(std::vector<uint8_t>{0}).ValueOrZero());
  EXPECT_EQ(cast.packed, std::vector<uint8_t>(16, 0x00));
  EXPECT_EQ(cast.scales, std::vector<uint8_t>(2, 0x01));
  EXPECT_EQ(cast.stats.inexact, 0);
}

TEST(MaxExponent, LeavesOutByteZeroAndMerges) {
  EXPECT_FALSE(FindMaxExponent(std::vector<uint8_t>{0, 0}).any);
  EXPECT_FALSE(FindMaxExponent({}).any);
  EXPECT_EQ(FindMaxExponent({}).ValueOrZero(), 0);
  MaxExponent total;
  total.Merge(FindMaxExponent(std::vector<uint8_t>{0, 100, 90}));
  EXPECT_EQ(total.ValueOrZero(), -27);
  total.Merge({});
  EXPECT_EQ(total.ValueOrZero(), -27);
  total.Merge(FindMaxExponent(std::vector<uint8_t>{120}));
  EXPECT_EQ(total.ValueOrZero(), -7);
}

TEST(CastStats, Merge) {
  CastStats total{1, 2, 3};
  total.Merge({10, 20, 30});
  EXPECT_EQ(total.blocks, 11);
  EXPECT_EQ(total.requantised, 22);
  EXPECT_EQ(total.inexact, 33);
}

}  // namespace
}  // namespace vernier::quantizers

#include "quantizers/nvfp4.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "quantizers/amax.h"
#include "quantizers/float_formats.h"
#include "quantizers/simd_targets.h"
#include "tests/quantizers/format_inputs.h"
#include "tests/quantizers/golden_file.h"

namespace vernier::quantizers {
namespace {

struct Quantised {
  std::vector<uint8_t> packed;
  std::vector<uint8_t> scales;
};

Quantised Quantize(const std::vector<float>& values, float global_scale) {
  Quantised result{std::vector<uint8_t>(values.size() / 2),
                   std::vector<uint8_t>(values.size() / 16)};
  QuantizeNvfp4(values, kNvfp4BlockSize, {.global_scale = global_scale}, result.packed,
                result.scales);
  return result;
}

std::vector<float> Dequantize(const Quantised& quantised, float global_scale) {
  std::vector<float> values(quantised.packed.size() * 2);
  DequantizeNvfp4(quantised.packed, quantised.scales, kNvfp4BlockSize, global_scale, values);
  return values;
}

// Cases whose global scale was given to ModelOpt instead of being derived from the tensor.
bool HasForeignGlobalScale(const std::string& name) {
  return name.starts_with("shared") || name.starts_with("tinyshared") || name.starts_with("ties1");
}

using GoldenCase = std::tuple<std::string, int64_t>;  // name, SIMD target

class Nvfp4Golden : public ::testing::TestWithParam<GoldenCase> {
 protected:
  template <typename T>
  void ExpectGoldenBytes(const std::vector<T>& input, float global_scale) {
    Quantised actual{std::vector<uint8_t>(input.size() / 2),
                     std::vector<uint8_t>(input.size() / 16)};
    QuantizeNvfp4(std::span<const T>(input), golden_.Columns(name_ + ".input"),
                  {.global_scale = global_scale}, actual.packed, actual.scales);
    EXPECT_EQ(actual.scales, golden_.Bytes(name_ + ".scale"));
    EXPECT_EQ(actual.packed, golden_.Bytes(name_ + ".packed"));
    EXPECT_EQ(CompareBits(Dequantize(actual, global_scale), golden_.Floats(name_ + ".dequant")),
              "equal");
  }

  GoldenFile golden_{"modelopt_nvfp4.safetensors"};
  std::string name_ = std::get<0>(GetParam());
  ForcedSimdTarget forced_{std::get<1>(GetParam())};
};

TEST_P(Nvfp4Golden, IsByteEqualToModelOpt) {
  const auto input = golden_.Floats(name_ + ".input");
  const float stored_scale = golden_.Floats(name_ + ".scale_2").at(0);
  const float global_scale =
      HasForeignGlobalScale(name_) ? stored_scale : Nvfp4GlobalScale(FindAmax(input).value);
  EXPECT_EQ(std::bit_cast<uint32_t>(global_scale), std::bit_cast<uint32_t>(stored_scale));
  ExpectGoldenBytes(input, global_scale);

  const std::vector<uint16_t> bf16 = ToBf16(input);
  const bool holds_input = std::ranges::equal(
      input, bf16, [](float value, uint16_t bits) { return value == Bf16ToFloat(bits); });
  if (holds_input) ExpectGoldenBytes(bf16, global_scale);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, Nvfp4Golden,
    ::testing::Combine(::testing::ValuesIn(GoldenFile("modelopt_nvfp4.safetensors").Cases()),
                       ::testing::ValuesIn(SimdTargets())),
    [](const auto& info) {
      return std::get<0>(info.param) + "_" + SimdTargetName(std::get<1>(info.param));
    });

TEST(Nvfp4GlobalScale, IsNeverZero) {
  EXPECT_EQ(Nvfp4GlobalScale(0.0f), 1.0f);
  EXPECT_EQ(Nvfp4GlobalScale(std::numeric_limits<float>::denorm_min()), kNvfp4MinGlobalScale);
  EXPECT_EQ(Nvfp4GlobalScale(2688.0f), 1.0f);
  EXPECT_TRUE(std::isfinite(Nvfp4GlobalScale(std::numeric_limits<float>::max())));
}

TEST(Nvfp4GlobalScale, LeavesTheSearchesRoom) {
  EXPECT_EQ(Nvfp4GlobalScale(1536.0f, Nvfp4Search::kFourOverSix), 1.0f);
  EXPECT_EQ(Nvfp4GlobalScale(1536.0f, Nvfp4Search::kMse), 1.0f);
  EXPECT_EQ(Nvfp4GlobalScale(1536.0f, Nvfp4Search::kLocalHessian), 1.0f);
  EXPECT_EQ(Nvfp4GlobalScale(0.0f, Nvfp4Search::kMse), 1.0f);
  EXPECT_EQ(Nvfp4GlobalScale(0x1p-149f, Nvfp4Search::kMse), kNvfp4MinGlobalScale);
}

TEST(Nvfp4, AllZeroTensorHasScaleOneAndZeroNibbles) {
  const std::vector<float> zeros(64, 0.0f);
  const Quantised actual = Quantize(zeros, Nvfp4GlobalScale(0.0f));
  EXPECT_EQ(actual.scales, std::vector<uint8_t>(4, 0x38));
  EXPECT_EQ(actual.packed, std::vector<uint8_t>(32, 0));
}

TEST(Nvfp4, ZeroBlockBesideOthersHasScaleOne) {
  std::vector<float> values(32, 0.0f);
  values[16] = 6.0f;
  const Quantised actual = Quantize(values, Nvfp4GlobalScale(6.0f));
  EXPECT_EQ(actual.scales, (std::vector<uint8_t>{0x38, 0x7E}));
  EXPECT_EQ(actual.packed[8], 7);
}

TEST(Nvfp4, NegativeZeroBecomesZeroButTinyNegativesKeepTheSign) {
  std::vector<float> values(16, -0.0f);
  values[1] = 6.0f;
  values[2] = -1e-6f;
  const Quantised actual = Quantize(values, 1.0f);
  EXPECT_EQ(actual.packed[0], 0x70);
  EXPECT_EQ(actual.packed[1], 0x08);
  EXPECT_EQ(actual.packed[2], 0x00);
}

TEST(Nvfp4, ValuesPastTheScaleSaturate) {
  std::vector<float> values(16, 1e6f);
  values[1] = -1e6f;
  const Quantised actual = Quantize(values, 1.0f);
  EXPECT_EQ(actual.scales[0], 0x7E);
  EXPECT_EQ(actual.packed[0], 0xF7);
  EXPECT_EQ(Dequantize(actual, 1.0f)[1], -2688.0f);
}

TEST(Nvfp4, DenormalTensorKeepsFiniteScalesAndLosesLittle) {
  std::vector<float> values(16, 0.0f);
  values[0] = std::numeric_limits<float>::denorm_min();
  const float global_scale = Nvfp4GlobalScale(values[0]);
  const Quantised actual = Quantize(values, global_scale);
  EXPECT_EQ(actual.packed, std::vector<uint8_t>(8, 0));
  EXPECT_EQ(Dequantize(actual, global_scale), std::vector<float>(16, 0.0f));
}

TEST(Nvfp4, BlockFarBelowTheGlobalScaleGetsTheSmallestScale) {
  const std::vector<float> values(16, 1e-6f);
  EXPECT_EQ(Quantize(values, 1.0f).scales[0], 0x01);
}

TEST(Nvfp4, NonFiniteValuesSaturateAndScalesStayFinite) {
  std::vector<float> values(16, 0.5f);
  values[0] = kInfinity;
  values[1] = -kInfinity;
  values[2] = std::numeric_limits<float>::quiet_NaN();
  values[3] = -std::numeric_limits<float>::quiet_NaN();
  const Quantised actual = Quantize(values, 1.0f);
  EXPECT_EQ(actual.scales[0], 0x7E);
  EXPECT_EQ(actual.packed[0], 0xF7);
  EXPECT_EQ(actual.packed[1], 0x77);
  EXPECT_EQ(actual.packed[2], 0x00);
}

TEST(Nvfp4, Bf16OutputIsTheRoundedProduct) {
  const std::vector<uint8_t> packed(8, 0x5B);  // 3 and -1.5
  std::vector<uint16_t> bf16(16);
  DequantizeNvfp4(packed, std::vector<uint8_t>{0x3D}, 16, 0.3f, std::span<uint16_t>(bf16));
  EXPECT_EQ(bf16[0], FloatToBf16(-1.5f * (1.625f * 0.3f)));
  EXPECT_EQ(bf16[1], FloatToBf16(3.0f * (1.625f * 0.3f)));
}

TEST(Nvfp4, BlockWhoseQuotientUnderflowsCountsAsZeros) {
  const std::vector<float> values(16, std::numeric_limits<float>::denorm_min());
  EXPECT_EQ(Quantize(values, 1e10f).scales[0], 0x38);
}

// A random float of any exponent.
float AnyFiniteFloat(std::mt19937& random) {
  const auto bits = static_cast<uint32_t>(random());
  const float value = std::bit_cast<float>(bits);
  return std::isfinite(value) ? value : std::bit_cast<float>(bits & ~0x40000000u);
}

TEST(Nvfp4, NoNanOrZeroScaleIsEverWritten) {
  std::mt19937 random(20250101);
  std::vector<float> values(256);
  for (int round = 0; round < 5000; ++round) {
    const float magnitude = std::ldexp(1.0f, static_cast<int>(random() % 250) - 130);
    std::normal_distribution<float> normal(0.0f, 1.0f);
    const bool wild = round % 2 == 0;
    for (float& value : values) value = wild ? AnyFiniteFloat(random) : normal(random) * magnitude;
    const float foreign = std::ldexp(1.0f, static_cast<int>(random() % 200) - 100);
    for (const float global_scale : {Nvfp4GlobalScale(FindAmax(values).value), foreign}) {
      const Quantised actual = Quantize(values, global_scale);
      for (const uint8_t scale : actual.scales) {
        ASSERT_GE(scale, 0x01);
        ASSERT_LE(scale, 0x7E);
      }
    }
  }
}

TEST(Nvfp4, ErrorIsBoundedByHalfTheWidestStep) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0.0f, 0.02f);
  std::vector<float> values(4096);
  for (float& value : values) value = normal(random);
  const float global_scale = Nvfp4GlobalScale(FindAmax(values).value);
  const Quantised quantised = Quantize(values, global_scale);
  const auto restored = Dequantize(quantised, global_scale);
  for (size_t i = 0; i < values.size(); ++i) {
    const float scale = E4m3ToFloat(quantised.scales[i / 16]) * global_scale;
    // The widest step of E2M1 is 2; a block scale rounded down by up to 1/16 lets 6.375 appear.
    EXPECT_LE(std::fabs(values[i] - restored[i]), 1.0f * scale) << i;
  }
}

}  // namespace
}  // namespace vernier::quantizers

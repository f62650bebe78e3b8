#include "quantizers/mxfp8.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <span>
#include <vector>

#include "quantizers/float_formats.h"
#include "quantizers/mxfp8_reference.h"
#include "tests/quantizers/format_inputs.h"
#include "tests/quantizers/golden_file.h"

namespace vernier::quantizers {
namespace {

struct Mxfp8 {
  std::vector<uint8_t> codes;
  std::vector<uint8_t> e8m0;
  bool operator==(const Mxfp8&) const = default;
};

template <typename Real>
Mxfp8 Quantize(const std::vector<Real>& values) {
  Mxfp8 result{std::vector<uint8_t>(values.size()), std::vector<uint8_t>(values.size() / 32)};
  QuantizeMxfp8(std::span<const Real>(values), 32, result.codes, result.e8m0);
  return result;
}

template <typename Real>
Mxfp8 QuantizeSlowly(const std::vector<Real>& values) {
  Mxfp8 result{std::vector<uint8_t>(values.size()), std::vector<uint8_t>(values.size() / 32)};
  reference::QuantizeMxfp8(std::span<const Real>(values), result.codes, result.e8m0);
  return result;
}

TEST(Mxfp8, QuantisesAsModelOpt) {
  const GoldenFile golden("modelopt_mxfp4.safetensors");
  const auto input = golden.Floats("mxfp8.input");
  const Mxfp8 expected{golden.Bytes("mxfp8.data"), golden.Bytes("mxfp8.e8m0")};
  OnEveryTarget([&] {
    EXPECT_EQ(Quantize(input), expected);
    EXPECT_EQ(Quantize(ToBf16(input)), expected);
  });
}

TEST(Mxfp8, EqualsTheDefinitionAndWritesNoNan) {
  OnEveryTarget([] {
    for (const auto& [name, values] : FormatInputs(64 * 32)) {
      SCOPED_TRACE(name);
      const Mxfp8 actual = Quantize(values);
      EXPECT_EQ(actual, QuantizeSlowly(values));
      EXPECT_EQ(Quantize(ToBf16(values)), QuantizeSlowly(ToBf16(values)));
      for (const uint8_t code : actual.codes) EXPECT_NE(code & 0x7F, 0x7F);
      for (const uint8_t byte : actual.e8m0) EXPECT_LE(byte, 247);
    }
  });
}

TEST(Mxfp8, ZeroBlocksHaveTheSmallestScaleAndKeepSigns) {
  std::vector<float> values(32, 0.0f);
  values[3] = -0.0f;
  const Mxfp8 actual = Quantize(values);
  EXPECT_EQ(actual.e8m0, std::vector<uint8_t>{0});
  EXPECT_EQ(actual.codes[0], 0x00);
  EXPECT_EQ(actual.codes[3], 0x80);
}

TEST(Mxfp8, EveryCodeAndScaleDequantises) {
  std::vector<uint8_t> codes;
  std::vector<uint8_t> e8m0;
  for (int scale = 0; scale < 256; ++scale) {
    for (int code = 0; code < 256; ++code) codes.push_back(static_cast<uint8_t>(code));
    e8m0.insert(e8m0.end(), 8, static_cast<uint8_t>(scale));
  }
  std::vector<float> expected(codes.size());
  std::vector<uint16_t> expected_bf16(codes.size());
  reference::DequantizeMxfp8(codes, e8m0, std::span<float>(expected));
  reference::DequantizeMxfp8(codes, e8m0, std::span<uint16_t>(expected_bf16));
  OnEveryTarget([&] {
    std::vector<float> values(codes.size());
    std::vector<uint16_t> bf16(codes.size());
    DequantizeMxfp8(codes, e8m0, 256, values);
    DequantizeMxfp8(codes, e8m0, 256, bf16);
    for (size_t i = 0; i < values.size(); ++i) {
      if (std::isnan(expected[i])) {
        ASSERT_TRUE(std::isnan(values[i]) && std::isnan(Bf16ToFloat(bf16[i]))) << i;
      } else {
        ASSERT_EQ(std::bit_cast<uint32_t>(values[i]), std::bit_cast<uint32_t>(expected[i])) << i;
        ASSERT_EQ(bf16[i], expected_bf16[i]) << i;
      }
    }
  });
}

TEST(Mxfp8, ErrorIsWithinASixteenthOfEachValueOrTheSmallestStep) {
  for (const auto& [name, values] : FiniteInputs(32 * 64)) {
    if (name == "all exponents") continue;  // rounding up can leave F32's range
    SCOPED_TRACE(name);
    const Mxfp8 quantised = Quantize(values);
    std::vector<float> restored(values.size());
    DequantizeMxfp8(quantised.codes, quantised.e8m0, 32, restored);
    for (size_t i = 0; i < values.size(); ++i) {
      const double half_step = std::ldexp(1.0, quantised.e8m0[i / 32] - kE8m0Bias - 10);
      const double bound = std::max(std::fabs(double{values[i]}) / 16, half_step);
      EXPECT_LE(std::fabs(double{values[i]} - restored[i]), bound) << values[i];
    }
  }
}

}  // namespace
}  // namespace vernier::quantizers

#include "quantizers/fp8.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "quantizers/float_formats.h"
#include "quantizers/fp8_reference.h"
#include "tests/quantizers/format_inputs.h"
#include "tests/quantizers/golden_file.h"

namespace vernier::quantizers {
namespace {

std::vector<uint16_t> AllBf16() {
  std::vector<uint16_t> codes(0x10000);
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint16_t>(i);
  return codes;
}

template <typename Real>
void ExpectTensorAsReference(const std::vector<Real>& values, float scale) {
  std::vector<uint8_t> codes(values.size());
  std::vector<uint8_t> expected(values.size());
  QuantizeFp8(std::span<const Real>(values), scale, codes);
  reference::QuantizeFp8(std::span<const Real>(values), scale, expected);
  EXPECT_EQ(codes, expected) << scale;
}

TEST(Fp8Scale, MapsTheLargestValueTo448) {
  EXPECT_EQ(Fp8Scale(0.0f), 1.0f);
  EXPECT_EQ(Fp8Scale(448.0f), 1.0f);
  EXPECT_EQ(Fp8Scale(3.0f), 3.0f / 448.0f);
  const float largest = std::numeric_limits<float>::max();
  for (const float amax : {std::numeric_limits<float>::denorm_min(), 1e-40f, 1e-36f, largest}) {
    const float scale = Fp8Scale(amax);
    EXPECT_GE(scale, kFp8MinScale);
    EXPECT_LE(amax / scale, 448.1f) << amax;
  }
}

TEST(QuantizeFp8, EncodesAsPyTorch) {
  const GoldenFile golden("torch_fp8.safetensors");
  const auto x = golden.Floats("x");
  const auto expected = golden.Bytes("e4m3");
  OnEveryTarget([&] {
    std::vector<uint8_t> codes(x.size());
    QuantizeFp8(x, 1.0f, codes);
    EXPECT_EQ(codes, expected);
  });
}

TEST(QuantizeFp8, EveryBf16IsRoundedOnceAfterTheDivision) {
  const auto bf16 = AllBf16();
  OnEveryTarget([&] {
    for (const float scale : {1.0f, 0.0123f, 3.7e5f, 0x1p-126f, 2e-38f, 1e-26f, 1e26f, 3e38f}) {
      ExpectTensorAsReference(bf16, scale);
    }
  });
}

// Values a few units in the last place around scale * (rounding boundary), where a quotient that is
// off by one unit changes the code.
TEST(QuantizeFp8, QuotientsAreExactAroundTheBoundaries) {
  std::vector<float> scales;
  for (const float seed : {1.1f, 1.9999999f, 1.3333334f, 1.0000001f, 1.5f}) {
    for (const float unit : {1.0f, 0x1p-79f, 0x1p-81f, 0x1p79f, 0x1p-9f, 0x1p81f, 0x1p-120f}) {
      scales.push_back(seed * unit);
    }
  }
  OnEveryTarget([&] {
    for (const float scale : scales) {
      std::vector<float> values;
      for (int code = 0; code < 0x7E; ++code) {
        const float boundary = (kE4m3Values[code] + kE4m3Values[code + 1]) / 2 * scale;
        const auto bits = std::bit_cast<uint32_t>(boundary);
        for (uint32_t near = bits - 4; near <= bits + 4; ++near) {
          values.push_back(std::bit_cast<float>(near));
        }
      }
      ExpectTensorAsReference(values, scale);
    }
  });
}

TEST(QuantizeFp8, EqualsTheDefinitionOnEveryInputAndLength) {
  OnEveryTarget([] {
    for (const size_t count : {1u, 15u, 33u, 1000u}) {
      for (const auto& [name, values] : FormatInputs(count)) {
        SCOPED_TRACE(name);
        for (const float scale : {1.0f, 1.7e-4f, 3e-38f}) {
          ExpectTensorAsReference(values, scale);
          ExpectTensorAsReference(ToBf16(values), scale);
        }
      }
    }
  });
}

TEST(QuantizeFp8, SpecialValues) {
  const std::vector<float> values = {0.0f,       -0.0f, 500.0f, -500.0f, kInfinity,
                                     -kInfinity, kNan,  1e-45f, -1e-45f, 448.0f};
  const std::vector<uint8_t> expected = {0x00, 0x80, 0x7E, 0xFE, 0x7E,
                                         0xFE, 0x7E, 0x00, 0x80, 0x7E};
  OnEveryTarget([&] {
    std::vector<uint8_t> codes(values.size());
    QuantizeFp8(values, 1.0f, codes);
    EXPECT_EQ(codes, expected);
  });
}

struct Blocks {
  std::vector<uint8_t> codes;
  std::vector<float> scales;
  bool operator==(const Blocks&) const = default;
};

Blocks MakeBlocks(size_t elements, int64_t columns, int64_t block_rows, int64_t block_columns) {
  const int64_t rows = static_cast<int64_t>(elements) / columns;
  const int64_t down = (rows + block_rows - 1) / block_rows;
  const int64_t across = (columns + block_columns - 1) / block_columns;
  return {std::vector<uint8_t>(elements), std::vector<float>(static_cast<size_t>(down * across))};
}

template <typename Real>
void ExpectBlocksAsReference(const std::vector<Real>& values, int64_t columns, int64_t block_rows,
                             int64_t block_columns) {
  for (const Fp8ScaleKind kind : {Fp8ScaleKind::kF32, Fp8ScaleKind::kBf16, Fp8ScaleKind::kE8m0}) {
    Blocks actual = MakeBlocks(values.size(), columns, block_rows, block_columns);
    Blocks expected = actual;
    const std::span<const Real> source(values);
    QuantizeFp8Blocks(source, columns, block_rows, block_columns, kind, actual.codes,
                      actual.scales);
    reference::QuantizeFp8Blocks(source, columns, block_rows, block_columns, kind, expected.codes,
                                 expected.scales);
    EXPECT_EQ(actual, expected);
    for (const float scale : actual.scales) {
      EXPECT_TRUE(std::isfinite(scale) && scale >= kFp8MinScale) << scale;
    }
    for (const uint8_t code : actual.codes) EXPECT_NE(code & 0x7F, 0x7F);
  }
}

TEST(QuantizeFp8Blocks, EqualsTheDefinition) {
  OnEveryTarget([] {
    for (const auto& [name, values] : FormatInputs(50 * 70)) {
      SCOPED_TRACE(name);
      ExpectBlocksAsReference(values, 70, 16, 32);
      ExpectBlocksAsReference(ToBf16(values), 70, 16, 32);
      ExpectBlocksAsReference(values, 35, 128, 128);
      ExpectBlocksAsReference(ToBf16(values), 350, 1, 128);
    }
  });
}

TEST(QuantizeFp8Blocks, ScalesFollowEachBlocksLargestValue) {
  // Two rows of blocks, the last of each kind partial: 3 rows in blocks of 2, 5 columns in blocks
  // of 4.
  const std::vector<float> values = {1,  2, -7, 0, 0,     //
                                     3,  4, 5,  6, -0.5,  //
                                     14, 0, 0,  0, 448};
  Blocks blocks = MakeBlocks(values.size(), 5, 2, 4);
  QuantizeFp8Blocks(values, 5, 2, 4, Fp8ScaleKind::kF32, blocks.codes, blocks.scales);
  EXPECT_EQ(blocks.scales,
            (std::vector<float>{7.0f / 448.0f, 0.5f / 448.0f, 14.0f / 448.0f, 1.0f}));
  QuantizeFp8Blocks(values, 5, 2, 4, Fp8ScaleKind::kE8m0, blocks.codes, blocks.scales);
  // 7 = 448 * 2^-6 and 14 = 448 * 2^-5 exactly; 0.5 needs 2^-9 (448 * 2^-10 is 0.4375).
  EXPECT_EQ(blocks.scales, (std::vector<float>{0x1p-6f, 0x1p-9f, 0x1p-5f, 1.0f}));
}

TEST(QuantizeFp8Blocks, ZeroBlocksHaveScaleOne) {
  for (const Fp8ScaleKind kind : {Fp8ScaleKind::kF32, Fp8ScaleKind::kBf16, Fp8ScaleKind::kE8m0}) {
    Blocks blocks = MakeBlocks(64, 8, 8, 8);
    QuantizeFp8Blocks(std::vector<float>(64, -0.0f), 8, 8, 8, kind, blocks.codes, blocks.scales);
    EXPECT_EQ(blocks.scales, std::vector<float>{1.0f});
    EXPECT_EQ(blocks.codes, std::vector<uint8_t>(64, 0x80));
  }
}

// The exact exponent of the definition against the least power of two found by trying.
TEST(QuantizeFp8Blocks, PowerOfTwoScalesAreTheLeastThatSaturateNothing) {
  for (int exponent = -126; exponent < 120; ++exponent) {
    for (const float mantissa : {1.0f, 1.7499999f, 1.75f, 1.7500001f, 1.9999999f}) {
      const float amax = std::ldexp(mantissa, exponent);
      const uint8_t byte = reference::Fp8ExponentByte(std::bit_cast<uint32_t>(amax));
      EXPECT_LE(amax, 448.0 * std::ldexp(1.0, byte - kE8m0Bias)) << amax;
      if (byte == 0) continue;
      EXPECT_GT(amax, 448.0 * std::ldexp(1.0, byte - 1 - kE8m0Bias)) << amax;
    }
  }
}

template <typename Real>
void ExpectSameOrBothNan(const std::vector<Real>& actual, const std::vector<Real>& expected) {
  for (size_t i = 0; i < actual.size(); ++i) {
    const float value = reference::Widen(actual[i]);
    const float wanted = reference::Widen(expected[i]);
    if (std::isnan(wanted)) {
      ASSERT_TRUE(std::isnan(value)) << i;
    } else {
      ASSERT_EQ(std::bit_cast<uint32_t>(value), std::bit_cast<uint32_t>(wanted)) << i;
    }
  }
}

// Each code under many scales, in rows whose length leaves a tail.
TEST(DequantizeFp8Rows, EveryCodeEqualsTheDefinition) {
  constexpr int64_t kColumns = 300;
  const std::vector<float> some_scales = {
      1.0f,     0.37f, 0x1p-126f, 0x1p-140f, 1.2345e-3f, 3e38f,
      0x1p120f, kNan,  kInfinity, 7e-39f,    -0.25f,     std::bit_cast<float>(0x7FFF'FFFFu)};
  const auto bytes = RandomBytes(24 * kColumns);
  std::vector<float> scales(24 * 3);
  for (size_t i = 0; i < scales.size(); ++i) scales[i] = some_scales[i % some_scales.size()];
  std::vector<float> expected(bytes.size());
  std::vector<uint16_t> expected_bf16(bytes.size());
  reference::DequantizeFp8Rows(bytes, kColumns, 128, scales, std::span<float>(expected));
  reference::DequantizeFp8Rows(bytes, kColumns, 128, scales, std::span<uint16_t>(expected_bf16));
  OnEveryTarget([&] {
    std::vector<float> values(bytes.size());
    std::vector<uint16_t> bf16(bytes.size());
    DequantizeFp8Rows(bytes, kColumns, 128, scales, values);
    DequantizeFp8Rows(bytes, kColumns, 128, scales, bf16);
    ExpectSameOrBothNan(values, expected);
    ExpectSameOrBothNan(bf16, expected_bf16);
  });
}

TEST(DequantizeFp8Rows, EveryCodeUnderScaleOneIsItsTableValue) {
  std::vector<uint8_t> codes(256);
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint8_t>(i);
  const std::vector<float> table(kE4m3Values.begin(), kE4m3Values.end());
  OnEveryTarget([&] {
    std::vector<float> values(256);
    DequantizeFp8Rows(codes, 256, 256, std::vector<float>{1.0f}, values);
    ExpectSameOrBothNan(values, table);
  });
}

TEST(DequantizeFp8Rows, ScalesEveryColumnBlockEvenAPartialOne) {
  constexpr int64_t kColumns = 300;
  constexpr int64_t kBlockColumns = 128;
  std::vector<uint8_t> codes(2 * kColumns);
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint8_t>(i % 127);
  const std::vector<float> scales = {1.0f, 2.0f, 0.5f, 0x1p-20f, 4.0f, 3.0f};
  std::vector<float> values(codes.size(), -1.0f);
  DequantizeFp8Rows(codes, kColumns, kBlockColumns, scales, values);
  for (size_t i = 0; i < codes.size(); ++i) {
    const size_t row = i / kColumns;
    const size_t block = i % kColumns / kBlockColumns;
    ASSERT_EQ(values[i], E4m3ToFloat(codes[i]) * scales[row * 3 + block]) << i;
  }
}

TEST(DequantizeFp8Rows, NanCodesAndScalesShow) {
  std::vector<float> values(2);
  DequantizeFp8Rows(std::vector<uint8_t>{0x7F, 0x38}, 1, 128, std::vector<float>{1.0f, NAN},
                    values);
  EXPECT_TRUE(std::isnan(values[0]));
  EXPECT_TRUE(std::isnan(values[1]));
}

TEST(DequantizeFp8Rows, NoRowsAreNoWork) {
  DequantizeFp8Rows({}, 128, 128, {}, std::span<float>());
  DequantizeFp8Rows({}, 128, 128, {}, std::span<uint16_t>());
}

}  // namespace
}  // namespace vernier::quantizers

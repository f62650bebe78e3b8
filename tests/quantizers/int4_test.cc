#include "quantizers/int4.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "quantizers/float_formats.h"
#include "quantizers/int4_reference.h"
#include "tests/quantizers/format_inputs.h"

namespace vernier::quantizers {
namespace {

struct Int4 {
  std::vector<uint8_t> packed;
  std::vector<uint16_t> scales;
  bool operator==(const Int4&) const = default;
};

Int4 MakeInt4(size_t elements, int64_t columns, int64_t group) {
  const size_t rows = elements / static_cast<size_t>(columns);
  const auto groups = static_cast<size_t>((columns + group - 1) / group);
  return {std::vector<uint8_t>(elements / 2), std::vector<uint16_t>(rows * groups)};
}

template <typename Real>
Int4 Quantize(const std::vector<Real>& values, int64_t columns, int64_t group) {
  Int4 result = MakeInt4(values.size(), columns, group);
  QuantizeInt4(std::span<const Real>(values), columns, group, result.packed, result.scales);
  return result;
}

template <typename Real>
Int4 QuantizeSlowly(const std::vector<Real>& values, int64_t columns, int64_t group) {
  Int4 result = MakeInt4(values.size(), columns, group);
  reference::QuantizeInt4(std::span<const Real>(values), columns, group, result.packed,
                          result.scales);
  return result;
}

std::vector<float> WideScales(const Int4& quantised) {
  std::vector<float> scales;
  for (const uint16_t scale : quantised.scales) scales.push_back(Bf16ToFloat(scale));
  return scales;
}

TEST(Int4, PacksEightColumnsIntoALittleEndianInt32) {
  // amax 7.5 gives scale 1, so that the values are the codes; 7.5 itself rounds to 8 and is cut
  // to 7.
  const std::vector<float> values = {-7.5f, -7.0f, -1.0f, 0.0f, 1.0f, 2.0f, 6.0f, 7.5f};
  const Int4 quantised = Quantize(values, 8, 8);
  EXPECT_EQ(quantised.scales, std::vector<uint16_t>{0x3F80});
  uint32_t word = 0;
  for (size_t i = 0; i < 4; ++i) word |= uint32_t{quantised.packed[i]} << (8 * i);
  const int expected[] = {-8, -7, -1, 0, 1, 2, 6, 7};
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(static_cast<int>((word >> (4 * i)) & 0xF) - 8, expected[i]) << i;
  }
}

TEST(Int4, RoundsTiesToEvenAndDividesByTheRoundedScale) {
  const std::vector<float> values = {7.5f, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 3.4999998f};
  const Int4 ties = Quantize(values, 8, 8);
  EXPECT_EQ(ties.packed, (std::vector<uint8_t>{0x8F, 0xAA, 0x68, 0xB6}));
  // 1.01 / 7.5 is 0.13466..., in BF16 0.134765625; 0.3368 is 2.5011 scales before, 2.4992 after.
  const Int4 rounded = Quantize(std::vector<float>{1.01f, 0.3368f, 0, 0, 0, 0, 0, 0}, 8, 8);
  EXPECT_EQ(Bf16ToFloat(rounded.scales[0]), 0.134765625f);
  EXPECT_EQ(rounded.packed[0] >> 4, 8 + 2);
}

TEST(Int4, EqualsTheDefinition) {
  OnEveryTarget([] {
    for (const auto& [name, values] : FormatInputs(8 * 200)) {
      SCOPED_TRACE(name);
      for (const auto& [columns, group] :
           {std::pair(200, 128), std::pair(40, 32), std::pair(8, 128), std::pair(1600, 8),
            std::pair(320, 128)}) {
        const Int4 actual = Quantize(values, columns, group);
        EXPECT_EQ(actual, QuantizeSlowly(values, columns, group)) << columns << " " << group;
        EXPECT_EQ(Quantize(ToBf16(values), columns, group),
                  QuantizeSlowly(ToBf16(values), columns, group));
        for (const float scale : WideScales(actual)) {
          EXPECT_TRUE(std::isfinite(scale) && scale > 0.0f) << scale;
        }
      }
    }
  });
}

// Around the rounding boundaries of every BF16 scale's mantissa.
TEST(Int4, QuotientsAreExactAroundTheBoundaries) {
  for (uint16_t mantissa = 0; mantissa < 128; ++mantissa) {
    const auto scale_bits = static_cast<uint16_t>(0x3C00 | mantissa);
    const float scale = Bf16ToFloat(scale_bits);
    std::vector<float> values;
    for (float boundary = 0.5f; boundary < 7; boundary += 1) {
      const auto bits = std::bit_cast<uint32_t>(boundary * scale);
      for (uint32_t near = bits - 3; near <= bits + 3; ++near) {
        values.push_back(std::bit_cast<float>(near));
      }
    }
    values.resize((values.size() + 8) / 8 * 8, 7.5f * scale);
    const auto columns = static_cast<int64_t>(values.size());
    const Int4 actual = Quantize(values, columns, columns);
    ASSERT_EQ(actual.scales.at(0), scale_bits);
    ASSERT_EQ(actual, QuantizeSlowly(values, columns, columns)) << mantissa;
  }
}

TEST(Int4, SpecialGroups) {
  const Int4 zeros = Quantize(std::vector<float>(128, -0.0f), 128, 128);
  EXPECT_EQ(zeros.scales, std::vector<uint16_t>{0x3F80});
  EXPECT_EQ(zeros.packed, std::vector<uint8_t>(64, 0x88));

  const Int4 tiny = Quantize(std::vector<float>(8, 1e-45f), 8, 8);
  EXPECT_EQ(tiny.scales, std::vector<uint16_t>{0x0080});  // 2^-126
  EXPECT_EQ(tiny.packed, std::vector<uint8_t>(4, 0x88));

  const Int4 infinite =
      Quantize(std::vector<float>{kInfinity, -kInfinity, NAN, -NAN, 0, 1, 2, 3}, 8, 8);
  EXPECT_TRUE(std::isfinite(Bf16ToFloat(infinite.scales[0])));
  EXPECT_EQ(infinite.packed[0], 0x0F);
  EXPECT_EQ(infinite.packed[1], 0x0F);
}

TEST(Int4, DequantisesByTheDefinition) {
  const auto packed = RandomBytes(8 * 100);
  const std::vector<float> some_scales = {1.0f, 0.013f, 1e-39f, 3e38f, 0x1p-126f};
  std::vector<float> scales(8 * 2);
  for (size_t i = 0; i < scales.size(); ++i) scales[i] = some_scales[i % some_scales.size()];
  std::vector<float> expected(packed.size() * 2);
  std::vector<uint16_t> expected_bf16(packed.size() * 2);
  reference::DequantizeInt4(packed, scales, 200, 128, std::span<float>(expected));
  reference::DequantizeInt4(packed, scales, 200, 128, std::span<uint16_t>(expected_bf16));
  OnEveryTarget([&] {
    std::vector<float> values(expected.size());
    std::vector<uint16_t> bf16(expected.size());
    DequantizeInt4(packed, scales, 200, 128, values);
    DequantizeInt4(packed, scales, 200, 128, bf16);
    EXPECT_EQ(values, expected);
    EXPECT_EQ(bf16, expected_bf16);
  });
}

TEST(Int4, ErrorIsHalfAStepSaveAtThePositiveEnd) {
  for (const auto& [name, values] : FiniteInputs(128 * 16)) {
    if (name == "tiny" || name == "all exponents") continue;  // at the ends of F32's range
    SCOPED_TRACE(name);
    const Int4 quantised = Quantize(values, 128, 128);
    const auto scales = WideScales(quantised);
    std::vector<float> restored(values.size());
    DequantizeInt4(quantised.packed, scales, 128, 128, restored);
    for (size_t i = 0; i < values.size(); ++i) {
      const float scale = scales[i / 128];
      const float bound = values[i] > 7 * scale ? 0.54f : 0.5001f;  // BF16 may shrink the scale
      EXPECT_LE(std::fabs(values[i] - restored[i]), bound * scale) << values[i];
    }
  }
}

}  // namespace
}  // namespace vernier::quantizers

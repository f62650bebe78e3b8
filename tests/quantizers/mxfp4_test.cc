#include "quantizers/mxfp4.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include "quantizers/float_formats.h"
#include "quantizers/mxfp4_reference.h"
#include "tests/quantizers/format_inputs.h"
#include "tests/quantizers/golden_file.h"

namespace vernier::quantizers {
namespace {

struct Mxfp4 {
  std::vector<uint8_t> packed;
  std::vector<uint8_t> e8m0;
  bool operator==(const Mxfp4&) const = default;
};

Mxfp4 MakeMxfp4(size_t elements) {
  return {std::vector<uint8_t>(elements / 2), std::vector<uint8_t>(elements / 32)};
}

template <typename Real>
Mxfp4 Quantize(const std::vector<Real>& values, Mxfp4Search search,
               const std::vector<float>& importance = {}) {
  Mxfp4 result = MakeMxfp4(values.size());
  const int64_t columns = importance.empty() ? 32 : static_cast<int64_t>(importance.size());
  QuantizeMxfp4(std::span<const Real>(values), columns, search, importance, result.packed,
                result.e8m0);
  return result;
}

template <typename Real>
Mxfp4 QuantizeSlowly(const std::vector<Real>& values, Mxfp4Search search,
                     const std::vector<float>& importance = {}) {
  Mxfp4 result = MakeMxfp4(values.size());
  const int64_t columns = importance.empty() ? 32 : static_cast<int64_t>(importance.size());
  reference::QuantizeMxfp4(std::span<const Real>(values), columns, search,
                           std::span<const float>(importance), result.packed, result.e8m0);
  return result;
}

std::vector<float> Dequantize(const Mxfp4& quantised) {
  std::vector<float> values(2 * quantised.packed.size());
  DequantizeMxfp4(quantised.packed, quantised.e8m0, 32, values);
  return values;
}

class Mxfp4Golden : public ::testing::TestWithParam<std::string> {
 protected:
  GoldenFile golden_{"modelopt_mxfp4.safetensors"};
  Mxfp4 expected_{golden_.Bytes(GetParam() + ".packed"), golden_.Bytes(GetParam() + ".e8m0")};
};

TEST_P(Mxfp4Golden, QuantisesAsModelOpt) {
  const auto input = golden_.Floats(GetParam() + ".input");
  OnEveryTarget([&] {
    EXPECT_EQ(Quantize(input, Mxfp4Search::kMax), expected_);
    EXPECT_EQ(Quantize(ToBf16(input), Mxfp4Search::kMax), expected_);
  });
}

TEST_P(Mxfp4Golden, DequantisesAsModelOpt) {
  // The golden is BF16 with the sign of zero kept; == ignores that sign.
  OnEveryTarget([&] { EXPECT_EQ(Dequantize(expected_), golden_.Floats(GetParam() + ".dequant")); });
}

INSTANTIATE_TEST_SUITE_P(Cases, Mxfp4Golden, ::testing::Values("normal", "wide", "zeros"),
                         [](const auto& info) { return info.param; });

TEST(DequantizeMxfp4, EveryByteUnderEveryScaleEqualsTheDefinition) {
  std::vector<uint8_t> packed;
  std::vector<uint8_t> e8m0;
  for (int scale = 0; scale < 255; ++scale) {
    for (int byte = 0; byte < 256; ++byte) packed.push_back(static_cast<uint8_t>(byte));
    e8m0.insert(e8m0.end(), 16, static_cast<uint8_t>(scale));
  }
  std::vector<float> expected(2 * packed.size());
  reference::DequantizeMxfp4(packed, e8m0, std::span<float>(expected));
  OnEveryTarget([&] {
    std::vector<float> values(expected.size());
    std::vector<uint16_t> bf16(expected.size());
    DequantizeMxfp4(packed, e8m0, 512, values);
    DequantizeMxfp4(packed, e8m0, 512, bf16);
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(std::bit_cast<uint32_t>(values[i]), std::bit_cast<uint32_t>(expected[i])) << i;
      // BF16 holds every value, so that this says more than that it was rounded.
      ASSERT_EQ(bf16[i], FloatToBf16(expected[i])) << i;
      ASSERT_EQ(Bf16ToFloat(bf16[i]), expected[i]) << i;
    }
  });
}

TEST(QuantizeMxfp4, EqualsTheDefinitionAndWritesNoNanScale) {
  OnEveryTarget([] {
    for (const auto& [name, values] : FormatInputs(64 * 32)) {
      SCOPED_TRACE(name);
      for (const Mxfp4Search search : {Mxfp4Search::kMax, Mxfp4Search::kMse}) {
        const Mxfp4 actual = Quantize(values, search);
        EXPECT_EQ(actual, QuantizeSlowly(values, search));
        EXPECT_EQ(Quantize(ToBf16(values), search), QuantizeSlowly(ToBf16(values), search));
        for (const uint8_t byte : actual.e8m0) EXPECT_LE(byte, 254);
      }
    }
  });
}

std::vector<float> RandomImportance(size_t columns) {
  std::mt19937 random(23);
  std::exponential_distribution<float> exponential;
  std::vector<float> importance(columns);
  // Mostly small next to a few large ones, and zeros: what draws the search far down.
  for (float& weight : importance) {
    const float x = exponential(random);
    weight = random() % 4 == 0 ? 0.0f : x * x * x;
  }
  return importance;
}

TEST(QuantizeMxfp4, WeightedSearchEqualsTheDefinition) {
  const auto importance = RandomImportance(128);
  OnEveryTarget([&] {
    for (const auto& [name, values] : FormatInputs(64 * 128)) {
      SCOPED_TRACE(name);
      EXPECT_EQ(Quantize(values, Mxfp4Search::kMse, importance),
                QuantizeSlowly(values, Mxfp4Search::kMse, importance));
      EXPECT_EQ(Quantize(ToBf16(values), Mxfp4Search::kMse, importance),
                QuantizeSlowly(ToBf16(values), Mxfp4Search::kMse, importance));
    }
  });
}

TEST(QuantizeMxfp4, TiesGoDownAndZerosHaveTheSignBit) {
  std::vector<float> values(32, 0.0f);
  const float inputs[] = {6.0f,  0.25f, 0.75f,  1.25f, 1.75f, 2.5f,
                          -3.5f, -5.0f, -0.25f, -0.0f, 0.26f, 0.0f};
  const uint8_t expected[] = {7, 0, 1, 2, 3, 4, 13, 14, 8, 8, 1, 8};
  std::copy(std::begin(inputs), std::end(inputs), values.begin());
  OnEveryTarget([&] {
    const Mxfp4 actual = Quantize(values, Mxfp4Search::kMax);
    EXPECT_EQ(actual.e8m0, std::vector<uint8_t>{127});
    for (size_t i = 0; i < std::size(inputs); ++i) {
      EXPECT_EQ((actual.packed[i / 2] >> (i % 2 * 4)) & 0xF, expected[i]) << inputs[i];
    }
  });
}

TEST(QuantizeMxfp4, InfinityAndNanSaturate) {
  std::vector<float> values(32, 1.0f);
  values[0] = kInfinity;
  values[1] = -kInfinity;
  values[2] = std::bit_cast<float>(0x7FC0'0000u);
  values[3] = std::bit_cast<float>(0xFFFF'FFFFu);
  OnEveryTarget([&] {
    for (const Mxfp4Search search : {Mxfp4Search::kMax, Mxfp4Search::kMse}) {
      const Mxfp4 actual = Quantize(values, search);
      EXPECT_EQ(actual.packed[0], 0xF7);
      EXPECT_EQ(actual.packed[1], 0xF7);
      EXPECT_LE(actual.e8m0[0], 254);
    }
  });
}

TEST(QuantizeMxfp4, TheScaleIsTheLeastThatSaturatesNothing) {
  for (int exponent = -120; exponent < 127; ++exponent) {
    for (const float mantissa : {1.0f, 1.4999999f, 1.5f, 1.5000001f, 1.9999999f}) {
      const float amax = std::ldexp(mantissa, exponent);
      const uint8_t byte = reference::Mxfp4ExponentByte(std::bit_cast<uint32_t>(amax));
      EXPECT_LE(amax, 6.0 * std::ldexp(1.0, byte - kE8m0Bias)) << amax;
      EXPECT_GT(amax, 6.0 * std::ldexp(1.0, byte - 1 - kE8m0Bias)) << amax;
    }
  }
}

// The exact error of a block under exponent byte `e8m0`, by trying all codes.
double ExactError(std::span<const float> block, std::span<const float> importance, int e8m0) {
  double sum = 0.0;
  for (size_t i = 0; i < block.size(); ++i) {
    double least = std::numeric_limits<double>::infinity();
    for (int code = 0; code < 8; ++code) {
      const double value = std::ldexp(double{kE2m1Values[code]}, e8m0 - kE8m0Bias);
      least = std::min(least, std::fabs(std::fabs(double{block[i]}) - value));
    }
    sum += least * least * (importance.empty() ? 1.0 : double{importance[i]});
  }
  return sum;
}

// The chosen exponent against all of them: the window of the search loses nothing.
void ExpectBestOfAll(const std::vector<float>& values, const std::vector<float>& importance) {
  const Mxfp4 actual = Quantize(values, Mxfp4Search::kMse, importance);
  for (size_t block = 0; block < actual.e8m0.size(); ++block) {
    const auto source = std::span(values).subspan(block * 32, 32);
    std::span<const float> weights;
    if (!importance.empty()) {
      weights = std::span(importance).subspan(block * 32 % importance.size(), 32);
    }
    const double chosen = ExactError(source, weights, actual.e8m0[block]);
    for (int e8m0 = 0; e8m0 < 255; ++e8m0) {
      ASSERT_LE(chosen, ExactError(source, weights, e8m0) * (1 + 1e-5)) << block << " " << e8m0;
    }
  }
}

TEST(QuantizeMxfp4, SearchFindsTheLeastErrorOfAllExponents) {
  const auto importance = RandomImportance(96);
  for (const auto& [name, values] : FiniteInputs(96 * 20)) {
    if (name == "all exponents" || name == "tiny") continue;  // squares leave F32's range
    SCOPED_TRACE(name);
    ExpectBestOfAll(values, {});
    ExpectBestOfAll(values, importance);
  }
}

// What the proof in mxfp4.h calls the worst case for one step down: 31 elements that lie on the
// grid two steps down and halfway between the values of the upper grid.
TEST(QuantizeMxfp4, SearchWindowHoldsInItsWorstCase) {
  for (const float middle : {0.25f, 0.75f, 1.25f}) {
    for (const float amax : {3.0000002f, 3.1f, 3.5f, 4.0f, 6.0f}) {
      std::vector<float> values(32, middle);
      values[7] = amax;
      ExpectBestOfAll(values, {});
    }
  }
}

TEST(QuantizeMxfp4, UnimportantOutliersDoNotSetTheScale) {
  std::vector<float> values(32, 0.01f);
  values[5] = 3000.0f;
  std::vector<float> importance(32, 1.0f);
  importance[5] = 0.0f;
  OnEveryTarget([&] {
    const auto restored = Dequantize(Quantize(values, Mxfp4Search::kMse, importance));
    for (size_t i = 0; i < values.size(); ++i) {
      if (i == 5) continue;
      EXPECT_NEAR(restored[i], 0.01f, 0.0025f);
    }
  });
}

}  // namespace
}  // namespace vernier::quantizers

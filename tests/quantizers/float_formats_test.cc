#include "quantizers/float_formats.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "tests/quantizers/format_inputs.h"
#include "tests/quantizers/golden_file.h"

namespace vernier::quantizers {
namespace {

// The code below `codes` whose value is nearest to |value|; of two, the even one. Distances are
// exact in double.
template <typename Decode>
int NearestCode(double magnitude, int codes, Decode decode) {
  int best = 0;
  for (int code = 1; code < codes; ++code) {
    const double distance = std::fabs(decode(code) - magnitude);
    const double best_distance = std::fabs(decode(best) - magnitude);
    if (distance < best_distance || (distance == best_distance && code % 2 == 0)) best = code;
  }
  return best;
}

// By the OCP formula, independent of the table.
double E4m3Magnitude(int code) {
  const int exponent = code >> 3;
  const int mantissa = code & 7;
  return exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
}

uint8_t SlowE4m3(float value) {
  const int sign = std::signbit(value) ? 0x80 : 0;
  if (std::isnan(value)) return static_cast<uint8_t>(sign | 0x7F);
  // Code 127 stands for 480, the value that NaN displaces: what rounds to it has overflowed.
  const double magnitude = std::min(std::fabs(double{value}), 512.0);
  return static_cast<uint8_t>(sign | NearestCode(magnitude, 128, E4m3Magnitude));
}

uint8_t SlowE2m1(float value) {
  if (std::isnan(value)) return 7;
  const double magnitude = std::min(std::fabs(double{value}), 6.0);
  const int code = NearestCode(magnitude, 8, [](int c) { return double{kE2m1Values[c]}; });
  return static_cast<uint8_t>(code | (value < 0 ? 8 : 0));
}

TEST(Bf16, EveryCodeSurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = Bf16ToFloat(static_cast<uint16_t>(bits));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(Bf16ToFloat(FloatToBf16(value)))) << bits;
    } else {
      ASSERT_EQ(FloatToBf16(value), bits);
    }
  }
}

TEST(Bf16, RoundsToNearestEven) {
  EXPECT_EQ(FloatToBf16(std::bit_cast<float>(0x3F808000u)), 0x3F80);  // tie, even below
  EXPECT_EQ(FloatToBf16(std::bit_cast<float>(0x3F818000u)), 0x3F82);  // tie, even above
  EXPECT_EQ(FloatToBf16(std::bit_cast<float>(0x3F808001u)), 0x3F81);
  EXPECT_EQ(FloatToBf16(std::bit_cast<float>(0x3F807FFFu)), 0x3F80);
  EXPECT_EQ(FloatToBf16(std::numeric_limits<float>::max()), 0x7F80);  // rounds to infinity
  EXPECT_TRUE(std::isnan(Bf16ToFloat(FloatToBf16(std::bit_cast<float>(0x7F800001u)))));
}

TEST(F16, EveryCodeHasItsIeeeValue) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const int exponent = (bits >> 10) & 0x1F;
    const int mantissa = bits & 0x3FF;
    const float value = F16ToFloat(static_cast<uint16_t>(bits));
    EXPECT_EQ(std::signbit(value), bits >> 15 == 1);
    if (exponent == 31) {
      EXPECT_TRUE(mantissa == 0 ? std::isinf(value) : std::isnan(value)) << bits;
      continue;
    }
    const double magnitude =
        exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    ASSERT_EQ(std::fabs(value), magnitude) << bits;
  }
}

TEST(E4m3, EveryCodeDecodesByTheFormula) {
  for (int code = 0; code < 256; ++code) {
    const float value = E4m3ToFloat(static_cast<uint8_t>(code));
    if ((code & 0x7F) == 0x7F) {
      EXPECT_TRUE(std::isnan(value));
      continue;
    }
    EXPECT_EQ(std::fabs(value), E4m3Magnitude(code & 0x7F)) << code;
    EXPECT_EQ(std::signbit(value), code >= 128) << code;
    EXPECT_EQ(FloatToE4m3(value), code);
  }
}

TEST(E4m3, DecodesAsPyTorch) {
  const GoldenFile golden("torch_fp8.safetensors");
  const auto expected = golden.Floats("decode_f32");
  const auto codes = golden.Bytes("decode_bytes");
  ASSERT_EQ(codes.size(), 256u);
  for (size_t i = 0; i < codes.size(); ++i) {
    const float value = E4m3ToFloat(codes[i]);
    if (std::isnan(expected[i])) {
      EXPECT_TRUE(std::isnan(value));
    } else {
      EXPECT_EQ(std::bit_cast<uint32_t>(value), std::bit_cast<uint32_t>(expected[i])) << i;
    }
  }
}

TEST(E4m3, EncodesAsPyTorch) {
  const GoldenFile golden("torch_fp8.safetensors");
  const auto x = golden.Floats("x");
  const auto expected = golden.Bytes("e4m3");
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_EQ(FloatToE4m3(std::clamp(x[i], -kE4m3Max, kE4m3Max)), expected[i]) << x[i];
  }
}

TEST(E4m3, EveryBf16ValueGoesToTheNearest) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = Bf16ToFloat(static_cast<uint16_t>(bits));
    ASSERT_EQ(FloatToE4m3(value), SlowE4m3(value)) << value;
  }
}

TEST(E4m3, TiesAndTheirNeighboursGoToTheNearest) {
  for (int code = 0; code < 127; ++code) {
    const auto middle = static_cast<float>((E4m3Magnitude(code) + E4m3Magnitude(code + 1)) / 2);
    for (const float value :
         {middle, std::nextafter(middle, 0.0f), std::nextafter(middle, kInfinity)}) {
      EXPECT_EQ(FloatToE4m3(value), SlowE4m3(value)) << value;
      EXPECT_EQ(FloatToE4m3(-value), SlowE4m3(-value)) << value;
    }
  }
}

TEST(E4m3, SpecialValues) {
  EXPECT_EQ(FloatToE4m3(0.0f), 0x00);
  EXPECT_EQ(FloatToE4m3(-0.0f), 0x80);
  EXPECT_EQ(FloatToE4m3(0x1p-9f), 0x01);
  EXPECT_EQ(FloatToE4m3(0x1p-10f), 0x00);  // tie towards the even code 0
  EXPECT_EQ(FloatToE4m3(std::numeric_limits<float>::denorm_min()), 0x00);
  EXPECT_EQ(FloatToE4m3(448.0f), 0x7E);
  EXPECT_EQ(FloatToE4m3(464.0f), 0x7E);
  EXPECT_EQ(FloatToE4m3(std::nextafter(464.0f, kInfinity)), 0x7F);
  EXPECT_EQ(FloatToE4m3(-kInfinity), 0xFF);
  EXPECT_EQ(FloatToE4m3(kNan) & 0x7F, 0x7F);
}

TEST(E8m0, EveryCodeIsAPowerOfTwoAsInPyTorch) {
  const auto expected = GoldenFile("torch_fp8.safetensors").Floats("e8m0_f32");
  for (int code = 0; code < 255; ++code) {
    const float value = E8m0ToFloat(static_cast<uint8_t>(code));
    EXPECT_EQ(value, std::ldexp(1.0f, code - kE8m0Bias)) << code;
    EXPECT_EQ(value, expected[code]) << code;
  }
  EXPECT_TRUE(std::isnan(E8m0ToFloat(255)));
}

TEST(E2m1, EveryBf16ValueGoesToTheNearest) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = Bf16ToFloat(static_cast<uint16_t>(bits));
    ASSERT_EQ(FloatToE2m1(value), SlowE2m1(value)) << value;
  }
}

TEST(E2m1, TiesAndTheirNeighboursGoToTheNearest) {
  for (const float middle : {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f}) {
    for (const float value :
         {middle, std::nextafter(middle, 0.0f), std::nextafter(middle, kInfinity)}) {
      EXPECT_EQ(FloatToE2m1(value), SlowE2m1(value)) << value;
      EXPECT_EQ(FloatToE2m1(-value), SlowE2m1(-value)) << value;
    }
  }
}

TEST(E2m1, SignOfZeroFollowsTheComparison) {
  EXPECT_EQ(FloatToE2m1(-0.0f), 0);
  EXPECT_EQ(FloatToE2m1(-std::numeric_limits<float>::denorm_min()), 8);
  EXPECT_EQ(FloatToE2m1(-kInfinity), 15);
  EXPECT_EQ(FloatToE2m1(kNan), 7);
  EXPECT_FALSE(std::signbit(kE2m1Values[8]));
}

TEST(E2m1, EveryCodeButNegativeZeroSurvivesTheRoundTrip) {
  for (int code = 0; code < 16; ++code) {
    EXPECT_EQ(FloatToE2m1(kE2m1Values[code]), code == 8 ? 0 : code);
  }
}

}  // namespace
}  // namespace vernier::quantizers

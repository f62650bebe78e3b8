// The vector forms of the number formats against their scalar definitions, on every target.
// clang-format off
#include "quantizers/simd_dispatch.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/quantizers/simd_formats_test.cc"
#include "hwy/foreach_target.h"
#include "quantizers/simd_formats-inl.h"
// clang-format on

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "quantizers/float_formats.h"
#include "quantizers/simd_targets.h"

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {

#if VERNIER_SCALAR_TARGET
void EncodeE2m1(const float* values, size_t count, uint32_t* codes) {
  for (size_t i = 0; i < count; ++i) codes[i] = FloatToE2m1(values[i]);
}
void RoundE2m1(const float* values, size_t count, float* nearest) {
  for (size_t i = 0; i < count; ++i) nearest[i] = kE2m1Values[FloatToE2m1(values[i])];
}
void EncodeE4m3(const float* values, size_t count, uint32_t* codes) {
  for (size_t i = 0; i < count; ++i) codes[i] = FloatToE4m3(values[i]);
}
void DecodeE4m3(const uint32_t* codes, size_t count, float* values) {
  for (size_t i = 0; i < count; ++i) values[i] = E4m3ToFloat(static_cast<uint8_t>(codes[i]));
}
void RepackBf16(const float* values, size_t count, uint32_t* pairs) {
  for (size_t i = 0; i < count; ++i) pairs[i] = FloatToBf16(values[i]) * 0x10001u;
}
uint64_t CountWrongQuotients() { return 0; }  // the definition divides
#else
void EncodeE2m1(const float* values, size_t count, uint32_t* codes) {
  for (size_t i = 0; i < count; i += hn::Lanes(U32Tag())) {
    const FloatVec v = hn::LoadU(FloatTag(), values + i);
    const FloatVec magnitude = AsFloat(hn::And(AsBits(v), SetU32(0x7FFF'FFFFu)));
    const U32Vec code = E2m1Codes(magnitude, hn::Lt(v, hn::Zero(FloatTag())));
    hn::StoreU(hn::And(code, SetU32(0xFF)), U32Tag(), codes + i);
  }
}
void RoundE2m1(const float* values, size_t count, float* nearest) {
  for (size_t i = 0; i < count; i += hn::Lanes(U32Tag())) {
    hn::StoreU(NearestE2m1(hn::LoadU(FloatTag(), values + i)), FloatTag(), nearest + i);
  }
}
void EncodeE4m3(const float* values, size_t count, uint32_t* codes) {
  for (size_t i = 0; i < count; i += hn::Lanes(U32Tag())) {
    hn::StoreU(E4m3Codes(hn::LoadU(FloatTag(), values + i)), U32Tag(), codes + i);
  }
}
void DecodeE4m3(const uint32_t* codes, size_t count, float* values) {
  for (size_t i = 0; i < count; i += hn::Lanes(U32Tag())) {
    hn::StoreU(E4m3Values(hn::LoadU(U32Tag(), codes + i)), FloatTag(), values + i);
  }
}
void RepackBf16(const float* values, size_t count, uint32_t* pairs) {
  for (size_t i = 0; i < count; i += hn::Lanes(U32Tag())) {
    const FloatVec wide = hn::LoadU(FloatTag(), values + i);
    const U32Vec once = PackBf16(wide, wide);
    hn::StoreU(PackBf16(EvenBf16(once), OddBf16(once)), U32Tag(), pairs + i);
  }
}

// Lanes whose code is not that of the IEEE quotient, for x within 3 units in the last place of a
// boundary times the divisor.
uint64_t CountWrongLanes(FloatVec divisor) {
  const FloatVec reciprocal = hn::Div(SetFloat(1.0f), divisor);
  const auto positive = hn::Lt(divisor, hn::Zero(FloatTag()));
  const auto codes = [&](FloatVec quotient)
                         HWY_ATTR { return hn::And(E2m1Codes(quotient, positive), SetU32(7)); };
  uint64_t wrong = 0;
  for (const float boundary : {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f}) {
    const U32Vec middle = AsBits(hn::Mul(divisor, SetFloat(boundary)));
    for (uint32_t ulps = 0; ulps <= 6; ++ulps) {
      const FloatVec x = AsFloat(hn::Sub(hn::Add(middle, SetU32(ulps)), SetU32(3)));
      const U32Vec expected = codes(hn::Div(x, divisor));
      const U32Vec actual = codes(RefinedQuotient(x, divisor, reciprocal));
      wrong += hn::CountTrue(U32Tag(), hn::Ne(actual, expected));
    }
  }
  return wrong;
}

uint64_t CountWrongQuotients() {
  const uint32_t one = std::bit_cast<uint32_t>(1.0f);
  uint64_t wrong = 0;
  for (uint32_t i = 0; i < 1u << 23; i += static_cast<uint32_t>(hn::Lanes(U32Tag()))) {
    wrong += CountWrongLanes(AsFloat(hn::Iota(U32Tag(), one + i)));
  }
  return wrong;
}
#endif

}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vernier::quantizers {
HWY_EXPORT(EncodeE2m1);
HWY_EXPORT(RoundE2m1);
HWY_EXPORT(EncodeE4m3);
HWY_EXPORT(DecodeE4m3);
HWY_EXPORT(RepackBf16);
HWY_EXPORT(CountWrongQuotients);

namespace {

class SimdFormats : public ::testing::TestWithParam<int64_t> {
 protected:
  ForcedSimdTarget forced_{GetParam()};
};

// Every float whose lower 12 bits are 000, 001, 7FF, 800, 801 or FFF, from 0 to `end`: all ties of
// the narrow formats and their neighbours are among them.
std::vector<float> FloatsUpTo(float end) {
  std::vector<float> values;
  for (uint32_t upper = 0; upper <= std::bit_cast<uint32_t>(end) >> 12; ++upper) {
    for (const uint32_t lower : {0x000u, 0x001u, 0x7FFu, 0x800u, 0x801u, 0xFFFu}) {
      const float value = std::bit_cast<float>(upper << 12 | lower);
      if (value <= end) values.push_back(value);
    }
  }
  values.resize((values.size() + 15) / 16 * 16);
  return values;
}

TEST_P(SimdFormats, E2m1CodesAreTheScalarOnes) {
  std::vector<float> values = FloatsUpTo(std::nextafter(7.0f, 0.0f));
  for (size_t i = 0; i < values.size(); i += 2) values[i] = -values[i];
  std::vector<uint32_t> codes(values.size());
  HWY_DYNAMIC_DISPATCH(EncodeE2m1)(values.data(), values.size(), codes.data());
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(codes[i], FloatToE2m1(values[i])) << values[i];
  }
}

TEST_P(SimdFormats, NearestE2m1IsTheValueOfTheScalarCode) {
  std::vector<float> values = FloatsUpTo(std::nextafter(7.0f, 0.0f));
  for (size_t i = 0; i < values.size(); i += 2) values[i] = -values[i];
  std::vector<float> nearest(values.size());
  HWY_DYNAMIC_DISPATCH(RoundE2m1)(values.data(), values.size(), nearest.data());
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(nearest[i], kE2m1Values[FloatToE2m1(values[i])]) << values[i];
  }
}

// Scaling by powers of two changes nothing, so that this is every case there is.
TEST_P(SimdFormats, RefinedQuotientsGiveTheCodesOfTrueOnesForEverySignificand) {
  EXPECT_EQ(HWY_DYNAMIC_DISPATCH(CountWrongQuotients)(), 0u);
}

TEST_P(SimdFormats, E4m3CodesAreTheScalarOnes) {
  const std::vector<float> values = FloatsUpTo(464.0f);
  std::vector<uint32_t> codes(values.size());
  HWY_DYNAMIC_DISPATCH(EncodeE4m3)(values.data(), values.size(), codes.data());
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(codes[i], FloatToE4m3(values[i])) << values[i];
  }
}

TEST_P(SimdFormats, EveryE4m3CodeHasItsScalarValue) {
  std::vector<uint32_t> codes(256);
  for (uint32_t i = 0; i < 256; ++i) codes[i] = i;
  std::vector<float> values(256);
  HWY_DYNAMIC_DISPATCH(DecodeE4m3)(codes.data(), codes.size(), values.data());
  for (uint32_t i = 0; i < 256; ++i) {
    EXPECT_EQ(std::bit_cast<uint32_t>(values[i]), std::bit_cast<uint32_t>(kE4m3Values[i])) << i;
  }
}

TEST_P(SimdFormats, Bf16RoundsToNearestEven) {
  std::vector<float> values;
  for (const float base : {1.0f, 0x1p-130f, 3.3e38f}) {
    for (uint32_t i = 0; i < (1u << 18); ++i) {
      values.push_back(std::bit_cast<float>(std::bit_cast<uint32_t>(base) + i));
    }
  }
  for (size_t i = 0; i < values.size(); i += 3) values[i] = -values[i];
  std::vector<uint32_t> pairs(values.size());
  HWY_DYNAMIC_DISPATCH(RepackBf16)(values.data(), values.size(), pairs.data());
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(pairs[i], FloatToBf16(values[i]) * 0x10001u) << values[i];
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, SimdFormats, ::testing::ValuesIn(SimdTargets()),
                         [](const auto& info) { return SimdTargetName(info.param); });

}  // namespace
}  // namespace vernier::quantizers
#endif  // HWY_ONCE

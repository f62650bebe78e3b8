#include "quantizers/amax.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "quantizers/float_formats.h"
#include "quantizers/simd_targets.h"
#include "tests/quantizers/format_inputs.h"

namespace vernier::quantizers {
namespace {

class AmaxTarget : public ::testing::TestWithParam<int64_t> {
 protected:
  static Amax FindBf16(const std::vector<float>& values) {
    std::vector<uint16_t> bf16;
    for (const float value : values) bf16.push_back(FloatToBf16(value));
    return FindAmax(bf16);
  }

  ForcedSimdTarget forced_{GetParam()};
};

TEST_P(AmaxTarget, FindsTheLargestMagnitudeWhereverItIs) {
  for (size_t count = 1; count < 150; ++count) {
    for (size_t at = 0; at < count; ++at) {
      std::vector<float> values(count, 0.5f);
      values[at] = -3.0f;
      ASSERT_EQ(FindAmax(values).value, 3.0f) << count << " " << at;
      ASSERT_EQ(FindBf16(values).value, 3.0f) << count << " " << at;
    }
  }
}

TEST_P(AmaxTarget, NonFiniteValuesAreReportedAndLeftOut) {
  for (const float bad : {kNan, -kNan, kInfinity, -kInfinity}) {
    for (const size_t at : {size_t{0}, size_t{77}, size_t{99}}) {
      std::vector<float> values(100, -2.0f);
      values[at] = bad;
      for (const Amax& amax : {FindAmax(values), FindBf16(values)}) {
        EXPECT_FALSE(amax.finite) << bad;
        EXPECT_EQ(amax.value, 2.0f) << bad;
      }
    }
  }
}

TEST_P(AmaxTarget, ExtremesAreFinite) {
  EXPECT_EQ(FindAmax(std::span<const float>()).value, 0.0f);
  EXPECT_TRUE(FindAmax(std::span<const uint16_t>()).finite);
  EXPECT_EQ(FindAmax(std::vector<float>(40, -0.0f)).value, 0.0f);
  const std::vector<float> extremes(40, -std::numeric_limits<float>::max());
  EXPECT_EQ(FindAmax(extremes).value, std::numeric_limits<float>::max());
  EXPECT_TRUE(FindAmax(extremes).finite);
  const std::vector<float> tiny(40, std::numeric_limits<float>::denorm_min());
  EXPECT_EQ(FindAmax(tiny).value, std::numeric_limits<float>::denorm_min());
}

INSTANTIATE_TEST_SUITE_P(Targets, AmaxTarget, ::testing::ValuesIn(SimdTargets()),
                         [](const auto& info) { return SimdTargetName(info.param); });

TEST(Amax, Merge) {
  Amax total;
  total.Merge({.value = 2.0f});
  total.Merge({.value = 1.0f, .finite = false});
  EXPECT_EQ(total.value, 2.0f);
  EXPECT_FALSE(total.finite);
}

}  // namespace
}  // namespace vernier::quantizers

// The searches for block scales: what they choose, whatever the kernel.
#include "quantizers/nvfp4_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "quantizers/amax.h"
#include "quantizers/nvfp4.h"
#include "quantizers/nvfp4_reference.h"
#include "tests/support/squared_error.h"

namespace vernier::quantizers {
namespace {

using reference::Nvfp4Block;

Nvfp4Block Ones() {
  Nvfp4Block ones;
  ones.fill(1.0f);
  return ones;
}

// All 126 codes, as the definition says.
uint8_t FullSweep(const Nvfp4Block& magnitudes, const Nvfp4Block& weights, float global_scale) {
  const float amax = std::ranges::max(magnitudes);
  const uint8_t rule = FloatToE4m3(reference::Nvfp4Quotient(amax, kE2m1Max, global_scale));
  float least = reference::Nvfp4Error(magnitudes, weights, rule, global_scale);
  uint8_t best = rule;
  for (int code = kMaxScaleCode; code >= kMinScaleCode; --code) {
    const auto byte = static_cast<uint8_t>(code);
    const float error = reference::Nvfp4Error(magnitudes, weights, byte, global_scale);
    if (error < least || (error == least && best != rule)) {
      best = byte;
      least = error;
    }
  }
  return best;
}

std::vector<uint8_t> Scales(const std::vector<float>& values, const Nvfp4Options& options) {
  const auto columns = options.importance.empty() ? 16 : options.importance.size();
  std::vector<uint8_t> packed(values.size() / 2);
  std::vector<uint8_t> scales(values.size() / 16);
  QuantizeNvfp4(values, static_cast<int64_t>(columns), options, packed, scales);
  return scales;
}

std::vector<float> DrawBlocks(std::mt19937& random, size_t blocks, float global_scale) {
  constexpr float kGrid[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, 5, 2.5f, 0.25f, 7, 8};
  std::normal_distribution<float> normal;
  std::vector<float> values(16 * blocks);
  for (size_t i = 0; i < values.size(); i += 16) {
    // Adversarial blocks lie on the grid of one scale, but for one value past its end.
    const bool on_grid = random() % 2 == 0;
    const float scale = kE4m3Values[1 + random() % 118] * global_scale;
    for (size_t j = i; j < i + 16; ++j) {
      values[j] = (on_grid ? kGrid[random() % (2 + random() % 11)] : normal(random)) * scale;
    }
    if (on_grid) values[i] = scale * (6.0f + 4.0f * (random() % 1000) / 1000);
  }
  return values;
}

TEST(Nvfp4Mse, FindsTheOptimumOfTheFullSweep) {
  std::mt19937 random(1);
  for (int round = 0; round < 40; ++round) {
    const float global_scale = 0.001f * (1 + round);
    const std::vector<float> values = DrawBlocks(random, 256, global_scale);
    const auto scales = Scales(values, {.global_scale = global_scale, .search = Nvfp4Search::kMse});
    for (size_t block = 0; block < scales.size(); ++block) {
      Nvfp4Block magnitudes;
      for (size_t i = 0; i < 16; ++i) magnitudes[i] = std::fabs(values[16 * block + i]);
      ASSERT_EQ(scales[block], FullSweep(magnitudes, Ones(), global_scale))
          << round << " " << block;
    }
  }
}

TEST(Nvfp4Mse, FindsTheWeightedOptimumOfTheFullSweep) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  for (int round = 0; round < 40; ++round) {
    const float global_scale = 0.001f * (1 + round);
    const std::vector<float> values = DrawBlocks(random, 256, global_scale);
    std::vector<float> importance(32);
    // Now and then the largest values hardly count, and the best scale lies far down.
    for (float& weight : importance) weight = std::exp(4.0f * normal(random));
    if (round % 4 == 0) importance[0] = 0.0f;
    const auto scales = Scales(
        values,
        {.global_scale = global_scale, .search = Nvfp4Search::kMse, .importance = importance});
    for (size_t block = 0; block < scales.size(); ++block) {
      Nvfp4Block magnitudes;
      Nvfp4Block weights;
      for (size_t i = 0; i < 16; ++i) {
        magnitudes[i] = std::fabs(values[16 * block + i]);
        weights[i] = importance[(16 * block + i) % 32];
      }
      ASSERT_EQ(scales[block], FullSweep(magnitudes, weights, global_scale))
          << round << " " << block;
    }
  }
}

TEST(Nvfp4Mse, PrefersTheRuleAmongEquals) {
  // 6, 3 and 0 times 1.0 are exact at 1.0 and at 2.0, where they are 3, 1.5 and 0.
  std::vector<float> values(16, 0.0f);
  values[0] = 6.0f;
  values[1] = -3.0f;
  EXPECT_EQ(Scales(values, {.search = Nvfp4Search::kMse})[0], 0x38);
  EXPECT_EQ(Scales(values, {.search = Nvfp4Search::kFourOverSix})[0], 0x38);
}

TEST(Nvfp4Mse, BlocksWithNothingToGainKeepTheRule) {
  const std::vector<float> zeros(16, 0.0f);
  EXPECT_EQ(Scales(zeros, {.search = Nvfp4Search::kMse})[0], 0x38);
  const std::vector<float> no_weight(16, 0.0f);
  std::vector<float> values(16, 1.1f);
  values[3] = 6.3f;
  const Nvfp4Options weightless{.search = Nvfp4Search::kMse, .importance = no_weight};
  EXPECT_EQ(Scales(values, weightless), Scales(values, {}));
}

TEST(Nvfp4Mse, NonFiniteBlocksGetTheLargestScale) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN(),
        std::numeric_limits<float>::infinity()}) {
    std::vector<float> values(16, 1.0f);
    values[5] = bad;
    for (const auto search : {Nvfp4Search::kMax, Nvfp4Search::kFourOverSix, Nvfp4Search::kMse}) {
      EXPECT_EQ(Scales(values, {.search = search})[0], 0x7E) << bad;
    }
  }
}

TEST(Nvfp4FourOverSix, TakesFourWhereThatIsCloser) {
  // At 6: 5 is in the middle between 4 and 6. At 4 the scale is 1.5, and 6, 4.5 and 3 are exact.
  std::vector<float> values(16, 4.5f);
  values[0] = 6.0f;
  EXPECT_EQ(Scales(values, {.search = Nvfp4Search::kFourOverSix})[0], FloatToE4m3(1.5f));
  EXPECT_EQ(Scales(values, {.search = Nvfp4Search::kMax})[0], FloatToE4m3(1.0f));
}

double RelativeError(const std::vector<float>& values, Nvfp4Search search, float global_scale) {
  std::vector<uint8_t> packed(values.size() / 2);
  std::vector<uint8_t> scales(values.size() / 16);
  std::vector<float> restored(values.size());
  QuantizeNvfp4(values, 4096, {.global_scale = global_scale, .search = search}, packed, scales);
  DequantizeNvfp4(packed, scales, 4096, global_scale, std::span<float>(restored));
  return testing::SquaredErrorOf(values, restored).Relative();
}

struct Errors {
  double max;
  double four_over_six;
  double mse;
};

// Of weights drawn from a distribution, each search with its own global scale.
template <typename Distribution>
Errors MeasureErrors(Distribution distribution) {
  std::mt19937 random(9);
  std::vector<float> values(4096 * 128);
  for (float& value : values) value = 0.02f * static_cast<float>(distribution(random));
  const float amax = FindAmax(values).value;
  const auto error = [&](Nvfp4Search search) {
    return RelativeError(values, search, Nvfp4GlobalScale(amax, search));
  };
  return {error(Nvfp4Search::kMax), error(Nvfp4Search::kFourOverSix), error(Nvfp4Search::kMse)};
}

TEST(Nvfp4Searches, LowerTheErrorOfGaussianWeights) {
  const Errors errors = MeasureErrors(std::normal_distribution<float>());
  EXPECT_NEAR(errors.max, 0.0091, 0.0005);
  EXPECT_LT(errors.four_over_six, 0.85 * errors.max);
  EXPECT_LT(errors.mse, 0.95 * errors.four_over_six);
}

TEST(Nvfp4Searches, LowerTheErrorOfHeavyTailedWeights) {
  const Errors errors = MeasureErrors(std::student_t_distribution<float>(5.0f));
  EXPECT_LT(errors.four_over_six, 0.9 * errors.max);
  EXPECT_LT(errors.mse, 0.95 * errors.four_over_six);
}

}  // namespace
}  // namespace vernier::quantizers

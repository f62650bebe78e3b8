// The arithmetic behind the choice of samples: the generator and the division among sources.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <numeric>
#include <vector>

#include "datasets/seeded_random.h"
#include "datasets/source_shares.h"

namespace vernier::datasets {
namespace {

using ::testing::ElementsAre;

// First outputs of the published generator for seed 1234567.
TEST(SeededRandom, IsSplitMix64) {
  SeededRandom random(1234567);
  EXPECT_EQ(random.Next(), 6457827717110365317u);
  EXPECT_EQ(random.Next(), 3203168211198807973u);
  EXPECT_EQ(random.Next(), 9817491932198370423u);
}

TEST(SeededRandom, BoundedValuesAreUniform) {
  SeededRandom random(5);
  std::array<int, 7> counts{};
  constexpr int kDraws = 70000;
  for (int i = 0; i < kDraws; ++i) ++counts.at(random.Below(counts.size()));
  // Standard deviation of a count: sqrt(70000 * 1/7 * 6/7), about 93.
  for (const int count : counts) EXPECT_NEAR(count, kDraws / 7, 5 * 93);
}

TEST(SeededRandom, BoundsAboveHalfTheRangeAreKept) {
  SeededRandom random(9);
  constexpr uint64_t kBound = (uint64_t{1} << 63) + 1;
  for (int i = 0; i < 1000; ++i) EXPECT_LT(random.Below(kBound), kBound);
  EXPECT_EQ(random.Below(1), 0u);
}

TEST(SeededRandom, ShufflesToEveryPermutationEquallyOften) {
  std::array<int, 27> counts{};
  SeededRandom random(3);
  constexpr int kDraws = 60000;
  for (int i = 0; i < kDraws; ++i) {
    std::vector<int> items = {0, 1, 2};
    random.Shuffle(items);
    ++counts.at(static_cast<size_t>(items[0] * 9 + items[1] * 3 + items[2]));
  }
  for (const size_t code : {5, 7, 11, 15, 19, 21}) EXPECT_NEAR(counts.at(code), kDraws / 6, 500);
}

TEST(DivideByWeight, LargestRemaindersGetWhatIsLeft) {
  EXPECT_THAT(DivideByWeight(10, std::vector{1.0}), ElementsAre(10));
  EXPECT_THAT(DivideByWeight(10, std::vector{5.0, 3.0, 2.0}), ElementsAre(5, 3, 2));
  EXPECT_THAT(DivideByWeight(7, std::vector{5.0, 3.0, 2.0}), ElementsAre(4, 2, 1));  // 3.5 2.1 1.4
  EXPECT_THAT(DivideByWeight(1, std::vector{1.0, 1.0, 1.0}), ElementsAre(1, 0, 0));
}

TEST(DivideByWeight, NoWeightGetsNothing) {
  EXPECT_THAT(DivideByWeight(5, std::vector{0.0, 1.0, 0.0, 1.0}), ElementsAre(0, 3, 0, 2));
}

TEST(DivideByWeight, SharesAddUpForExtremeWeights) {
  const std::vector<std::vector<double>> cases = {
      {1e308, 1e308, 1e308}, {5e-324, 5e-324}, {1e300, 1e-300}, {0.1, 0.2, 0.3, 0.4}};
  for (const auto& weights : cases) {
    for (const int64_t total : {1, 2, 97, 2147483647}) {
      const auto shares = DivideByWeight(total, weights);
      EXPECT_EQ(std::accumulate(shares.begin(), shares.end(), int64_t{0}), total);
      for (const int64_t share : shares) EXPECT_GE(share, 0);
    }
  }
}

}  // namespace
}  // namespace vernier::datasets

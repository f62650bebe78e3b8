// What a crash can cost, whatever the units and the disk are like.
#include "calib/save_policy.h"

#include <gtest/gtest.h>

#include <random>

namespace vernier::calib {
namespace {

TEST(SavePolicy, ZeroSavesAfterEveryUnit) {
  SavePolicy policy(0);
  policy.Saved(1000, 50);
  policy.UnitDone(0.001);
  EXPECT_TRUE(policy.ShouldSave(1 << 30));
}

TEST(SavePolicy, SavesBeforeTheNextUnitWouldPassTheInterval) {
  SavePolicy policy(10);
  policy.UnitDone(3);
  policy.UnitDone(3);
  EXPECT_FALSE(policy.ShouldSave(1)) << "another unit of 3 makes 9";
  policy.UnitDone(3);
  EXPECT_TRUE(policy.ShouldSave(1));
  policy.Saved(1, 0);
  EXPECT_EQ(policy.unsaved(), 0);
  EXPECT_FALSE(policy.ShouldSave(1));
}

TEST(SavePolicy, RepeatsWhatIsCheaperToRepeatThanToSave) {
  SavePolicy policy(10);
  policy.Saved(/*bytes=*/100, /*seconds=*/1);
  policy.UnitDone(9);
  policy.UnitDone(9);
  EXPECT_FALSE(policy.ShouldSave(2000)) << "18 seconds of work, 20 seconds to save";
  EXPECT_TRUE(policy.ShouldSave(1700));
}

TEST(SavePolicy, WhatAKillCostsIsBounded) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> length(0.01, 1.0);
  for (int trial = 0; trial < 200; ++trial) {
    const double interval = 5 * length(random);
    const double save_seconds = 3 * length(random);
    const double longest = 4 * length(random);
    SavePolicy policy(interval);
    policy.Saved(1000, save_seconds);
    double worst = 0;
    for (int unit = 0; unit < 500; ++unit) {
      // A kill at the end of this unit loses it and all that is unsaved.
      const double seconds = unit == 0 ? longest : longest * length(random);
      worst = std::max(worst, policy.unsaved() + seconds);
      policy.UnitDone(seconds);
      if (!policy.ShouldSave(1000)) continue;
      worst = std::max(worst, policy.unsaved() + save_seconds);
      policy.Saved(1000, save_seconds);
    }
    EXPECT_LE(worst, std::max({interval, longest, save_seconds}) + longest + save_seconds);
    if (save_seconds < interval - longest) {
      EXPECT_LE(worst, interval + save_seconds) << "cheap saves: the interval, and the save itself";
    }
  }
}

TEST(CommitPolicy, ZeroCommitsEveryLayer) {
  CommitPolicy policy(0);
  policy.LayerDone(0.001);
  EXPECT_TRUE(policy.Due());
}

TEST(CommitPolicy, ALayerThatIsLongIsCommitted) {
  CommitPolicy policy(60);
  policy.LayerDone(15);
  EXPECT_FALSE(policy.Due());
  policy.LayerDone(16);
  EXPECT_TRUE(policy.Due());
}

// As long as no layer takes more than half as long again as the longest before it.
TEST(CommitPolicy, WhatAKillCostsIsTheInterval) {
  std::mt19937 random(2);
  std::uniform_real_distribution<double> factor(0.2, 1.5);
  for (int trial = 0; trial < 200; ++trial) {
    CommitPolicy policy(60);
    double longest = 1 + trial * 0.1, waiting = 0, worst = 0;
    for (int layer = 0; layer < 100; ++layer) {
      const double seconds = std::min(longest * (layer == 0 ? 1 : factor(random)), 30.0);
      longest = std::max(longest, seconds);
      if (layer > 0) worst = std::max(worst, waiting + seconds);
      waiting += seconds;
      policy.LayerDone(seconds);
      if (!policy.Due()) continue;
      policy.Committed();
      waiting = 0;
    }
    EXPECT_LE(worst, 60);
  }
}

}  // namespace
}  // namespace vernier::calib

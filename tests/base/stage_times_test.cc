#include "base/stage_times.h"

#include <gtest/gtest.h>

namespace vernier {
namespace {

TEST(StageTimes, AddsUpInOrderOfTheFirstTime) {
  StageTimes times;
  times.Add("b", 1);
  times.Add("a", 2);
  times.Add("b", 3);
  { const StageClock clock(&times, "a"); }
  { const StageClock nobody(nullptr, "a"); }
  ASSERT_EQ(times.stages().size(), 2u);
  EXPECT_EQ(times.stages()[0].stage, "b");
  EXPECT_EQ(times.stages()[0].seconds, 4);
  EXPECT_EQ(times.stages()[0].times, 2);
  EXPECT_GE(times.stages()[1].seconds, 2);
  EXPECT_EQ(times.stages()[1].times, 2);
}

}  // namespace
}  // namespace vernier

// What becomes of NaN and infinity, and who is named.
#include "calib/non_finite_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "calib/bad_input_finder.h"
#include "calib/recorder.h"
#include "tests/calib/loop_support.h"

namespace vernier::calib {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const float kNan = std::nanf("");
const std::vector<std::string> kNames = {"m", "cache"};

TEST(NonFiniteGuard, ClampingLeavesBadValuesOutOfAmaxAndRecordsThem) {
  Recorder recorder(kNames);
  NonFiniteGuard guard(recorder, NonFinitePolicy::kClamp);
  guard.SetSamples(at::tensor({4, 4, 9}, at::kLong));
  ShowInput(guard, "m", at::tensor({1.0F, 2.0F, 3.0F, 4.0F, -kInfinity, kNan}).view({3, 2}));
  guard.SetSamples(at::tensor({10}, at::kLong));
  ShowInput(guard, "m", at::tensor({kInfinity, -5.0F}).view({1, 2}));
  guard.ObserveCache("cache", at::tensor({kNan, 0.5F}).view({1, 2}));
  EXPECT_TRUE(guard.TapIsGood());
  const std::vector<run::InputAmax> inputs = InputsOf(recorder, 2);
  ASSERT_EQ(inputs.size(), 2U);
  EXPECT_EQ(inputs[0].amax, 0.5F);
  EXPECT_EQ(inputs[1].amax, 5.0F);
  EXPECT_EQ(inputs[1].tokens, 4);
  const std::vector<run::NonFiniteRecord> records = guard.NonFinites(2);
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].module, "cache");
  EXPECT_EQ(records[0].value, "nan");
  EXPECT_EQ(records[1].layer, 2);
  EXPECT_EQ(records[1].sample, 9);
  EXPECT_EQ(records[1].value, "-inf");
  EXPECT_EQ(records[1].count, 3);
}

TEST(NonFiniteGuard, ClampsHiddenStatesToTheLargestFiniteValue) {
  Tap nobody;
  NonFiniteGuard guard(nobody, NonFinitePolicy::kClamp);
  const at::Tensor bad = at::tensor({1.0F, kInfinity, -kInfinity, kNan}).to(at::kBFloat16);
  const at::Tensor clamped = guard.Clamp("layers.1", bad).to(at::kFloat);
  EXPECT_EQ(clamped[0].item<float>(), 1.0F);
  EXPECT_TRUE(std::isfinite(clamped[1].item<float>()));
  EXPECT_GT(clamped[1].item<float>(), 3e38F);
  EXPECT_EQ(clamped[2].item<float>(), -clamped[1].item<float>());
  EXPECT_EQ(clamped[3].item<float>(), 0.0F);
  EXPECT_EQ(guard.NonFinites(1).at(0).count, 3);
  EXPECT_FALSE(guard.Clamp("layers.1", at::Tensor()).defined());
}

TEST(NonFiniteGuard, StoppingChangesNothingAndSaysWhenAUnitIsBad) {
  Recorder recorder(kNames);
  NonFiniteGuard guard(recorder);
  const at::Tensor good = at::ones({2, 2}), bad = at::tensor({1.0F, kNan}).view({1, 2});
  EXPECT_TRUE(guard.Clamp("layers.1", bad).is_same(bad));
  EXPECT_TRUE(guard.IsGood(good));
  EXPECT_FALSE(guard.IsGood(std::vector{good, at::Tensor(), bad}));
  ShowInput(guard, "m", good);
  EXPECT_TRUE(guard.TapIsGood());
  ShowInput(guard, "m", bad);
  EXPECT_FALSE(guard.TapIsGood());
  EXPECT_TRUE(guard.NonFinites(1).empty());
}

TEST(NonFiniteGuard, GoesOnFromWhatItReturned) {
  Tap nobody;
  NonFiniteGuard first(nobody, NonFinitePolicy::kClamp);
  ShowInput(first, "m", at::full({1, 2}, kNan));
  NonFiniteGuard second(nobody, NonFinitePolicy::kClamp);
  second.Restore(first.NonFinites(0));
  ShowInput(second, "m", at::full({1, 2}, kInfinity));
  const run::NonFiniteRecord record = second.NonFinites(0).at(0);
  EXPECT_EQ(record.count, 4);
  EXPECT_EQ(record.value, "nan") << "the first one";
  second.Clear();
  EXPECT_TRUE(second.NonFinites(1).empty());
}

TEST(BadInputFinder, NamesTheSampleOfTheFirstBadRow) {
  BadInputFinder finder(6, at::tensor({3, 3, 5, 8}, at::kLong));
  ShowInput(finder, "fine", at::ones({4, 2}));
  // Two groups a token, as a grouped linear layer sees it.
  at::Tensor x = at::ones({8, 2});
  x[5][1] = -kInfinity;
  try {
    ShowInput(finder, "layers.6.attn.wo_a", x);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadActivation);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("layers.6.attn.wo_a"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("-inf in layer 6, sample 5"));
  }
}

}  // namespace
}  // namespace vernier::calib

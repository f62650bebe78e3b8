// What a recorder keeps of the inputs that it is shown.
#include "calib/recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "tests/calib/loop_support.h"

namespace vernier::calib {
namespace {

TEST(Recorder, KeepsTheLargestMagnitudeAndCountsRows) {
  const std::vector<std::string> names = {"b", "a", "never"};
  Recorder recorder(names);
  ShowInput(recorder, "b", at::tensor({1.0F, -3.5F, 2.0F, 0.0F}).view({2, 2}));
  ShowInput(recorder, "b", at::tensor({3.0F, 1.0F}).view({1, 1, 2}));
  recorder.ObserveCache("a", at::zeros({4, 2}, at::kBFloat16));
  recorder.ObserveCache("a", at::empty({0, 2}));
  ShowInput(recorder, "unwanted", at::ones({1, 1}));
  const std::vector<run::InputAmax> inputs = recorder.Inputs(7);
  ASSERT_EQ(inputs.size(), 2U);
  EXPECT_EQ(inputs[0].module, "a");
  EXPECT_EQ(inputs[0].amax, 0.0F);
  EXPECT_EQ(inputs[0].tokens, 4);
  EXPECT_EQ(inputs[1].module, "b");
  EXPECT_EQ(inputs[1].layer, 7);
  EXPECT_EQ(inputs[1].amax, 3.5F);
  EXPECT_EQ(inputs[1].tokens, 3);
  recorder.Clear();
  EXPECT_TRUE(recorder.Inputs(8).empty());
}

TEST(Recorder, ReportsNanAndInfinityWithModuleAndLayer) {
  const std::vector<std::string> names = {"layers.3.attn.wkv"};
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    for (const bool bad_first : {true, false}) {
      Recorder recorder(names);
      const at::Tensor fine = at::ones({1, 2}), broken = at::full({1, 2}, bad);
      EXPECT_TRUE(recorder.Finite());
      ShowInput(recorder, names[0], bad_first ? broken : fine);
      ShowInput(recorder, names[0], bad_first ? fine : broken);
      EXPECT_FALSE(recorder.Finite());
      try {
        recorder.Inputs(3);
        FAIL() << bad;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kBadActivation);
        EXPECT_THAT(error.what(), ::testing::HasSubstr("layers.3.attn.wkv"));
        EXPECT_THAT(error.what(), ::testing::HasSubstr("layer 3"));
      }
    }
  }
}

TEST(Recorder, GoesOnFromWhatItReturned) {
  const std::vector<std::string> names = {"a", "b"};
  Recorder first(names);
  ShowInput(first, "a", at::full({3, 2}, 1.5F));
  Recorder second(names);
  second.Restore(first.Inputs(0), at::kCPU);
  ShowInput(second, "a", at::full({2, 2}, 0.5F).to(at::kBFloat16));
  ShowInput(second, "b", at::full({2, 2}, 0.25F));
  const std::vector<run::InputAmax> inputs = second.Inputs(0);
  ASSERT_EQ(inputs.size(), 2U);
  EXPECT_EQ(inputs[0].amax, 1.5F);
  EXPECT_EQ(inputs[0].tokens, 5);
  EXPECT_EQ(inputs[1].amax, 0.25F);
}

TEST(Tap, WantsNothingAndChangesNothing) {
  Tap nobody;
  EXPECT_FALSE(nobody.Wants("a"));
  EXPECT_TRUE(nobody.Finite());
  const at::Tensor x = at::full({1, 2}, std::nanf(""));
  EXPECT_TRUE(nobody.Replace("a", x).is_same(x));
  EXPECT_TRUE(nobody.ReplaceCache("a", x).is_same(x));
}

}  // namespace
}  // namespace vernier::calib

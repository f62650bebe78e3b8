#include "calib/fold_choice.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/calib/loop_support.h"

namespace vernier::calib {
namespace {

constexpr int64_t kFoldChannels = 64, kFoldTokens = 200, kFoldedRows = 48;

// Normal inputs, of which every eighth channel is `outlier` times as large.
FoldInputs MakeFoldInputs(double outlier) {
  at::manual_seed(1);
  const at::Tensor size = at::where(at::arange(kFoldChannels).remainder(8).eq(3),
                                    at::full({}, outlier), at::full({}, 1.0))
                              .to(at::kFloat);
  FoldInputs inputs;
  inputs.sample = at::randn({kFoldTokens, kFoldChannels}) * size;
  inputs.amax = inputs.sample.abs().amax(0);
  inputs.weights = {at::randn({kFoldedRows, kFoldChannels}),
                    at::randn({kFoldedRows, kFoldChannels}).to(at::kBFloat16)};
  const at::Tensor squares = inputs.sample.square().mean(0);
  for (int64_t i = 0; i < kFoldChannels; ++i) {
    inputs.mean_squares.push_back(squares[i].item<double>());
  }
  inputs.channel_of = [](int64_t column) { return column; };
  return inputs;
}

TEST(FoldChoice, OutliersMoveIntoWeights) {
  const FoldChoice choice = ChooseFold(MakeFoldInputs(30));
  EXPECT_GT(choice.exponent, 0);
  EXPECT_LT(choice.error, 0.8 * choice.other_error);
  ASSERT_EQ(choice.scales.size(), static_cast<size_t>(kFoldChannels));
  EXPECT_NEAR(choice.scales[3] / choice.scales[0], std::pow(30, choice.exponent),
              0.3 * std::pow(30, choice.exponent));
}

TEST(FoldChoice, WhatGainsNothingStays) {
  FoldInputs inputs = MakeFoldInputs(1);
  inputs.mean_squares.assign(kFoldChannels, 1);  // every exponent is the same fold: none
  const FoldChoice choice = ChooseFold(inputs);
  EXPECT_EQ(choice.exponent, 0);
  EXPECT_TRUE(choice.scales.empty());
  EXPECT_EQ(choice.error, choice.other_error);
}

TEST(FoldChoice, IsTheSameOnEachDevice) {
  const FoldChoice expected = ChooseFold(MakeFoldInputs(30));
  for (const at::DeviceType device : kTestDevices) {
    if (!HasDevice(device)) continue;
    FoldInputs inputs = MakeFoldInputs(30);
    inputs.sample = inputs.sample.to(device);
    const FoldChoice choice = ChooseFold(inputs);
    EXPECT_EQ(choice.scales, expected.scales);
    EXPECT_NEAR(choice.error, expected.error, 1e-3 * expected.error);
  }
}

TEST(FoldChoice, ChannelsThatAreAlwaysZeroStay) {
  FoldInputs inputs = MakeFoldInputs(30);
  inputs.sample.select(1, 7).zero_();
  inputs.amax[7] = 0;
  inputs.mean_squares[7] = 0;
  const FoldChoice choice = ChooseFold(inputs);
  ASSERT_GT(choice.exponent, 0);
  EXPECT_EQ(choice.scales[7], 1);
}

TEST(FoldChoice, FactorsHaveBounds) {
  FoldInputs inputs = MakeFoldInputs(30);
  inputs.mean_squares[0] = 1e30;
  const FoldChoice choice = ChooseFold(inputs);
  for (const float scale : choice.scales) {
    EXPECT_GE(scale, 1 / kLargestFoldFactor);
    EXPECT_LE(scale, kLargestFoldFactor);
  }
}

// Errors are those of factors as the producer stores them.
TEST(FoldChoice, TheProducersRoundingCounts) {
  FoldInputs inputs = MakeFoldInputs(30);
  inputs.store = [](std::vector<float>& scales) {
    for (float& scale : scales) scale = std::exp2(std::round(std::log2(scale)));
  };
  const FoldChoice choice = ChooseFold(inputs);
  ASSERT_GT(choice.exponent, 0);
  for (const float scale : choice.scales) EXPECT_EQ(std::exp2(std::round(std::log2(scale))), scale);
}

}  // namespace
}  // namespace vernier::calib

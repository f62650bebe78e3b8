#include "calib/format_trials.h"

#include <gtest/gtest.h>

#include "tests/calib/loop_support.h"

namespace vernier::calib {
namespace {

TrialInputs MakeTrialInputs(double outlier = 1) {
  at::manual_seed(1);
  TrialInputs inputs{.sample = at::randn({200, 64}), .weight = at::randn({48, 64})};
  inputs.sample.select(1, 3).mul_(outlier);
  inputs.amax = inputs.sample.abs().max().item<float>();
  return inputs;
}

// Of normal values NVFP4 leaves about 1 % in weights and inputs each, E4M3 a tenth of that.
TEST(FormatTrials, FindWhatRoundingCosts) {
  const TrialErrors errors = TryFormats(MakeTrialInputs());
  EXPECT_NEAR(errors.energy, 64, 10);
  EXPECT_GT(errors.nvfp4, 0.008 * errors.energy);
  EXPECT_LT(errors.nvfp4, 0.03 * errors.energy);
  EXPECT_GT(errors.fp8, 0.0005 * errors.energy);
  EXPECT_LT(errors.fp8, 0.2 * errors.nvfp4);
}

TEST(FormatTrials, NothingIsLostWhereBothFormatsAreExact) {
  TrialInputs inputs = MakeTrialInputs();
  inputs.sample = at::full({40, 64}, 3.0F);
  inputs.weight = at::full({8, 64}, -2.0F);
  inputs.amax = 3;
  const TrialErrors errors = TryFormats(inputs);
  EXPECT_EQ(errors.energy, 384.0 * 384.0);
  EXPECT_LT(errors.nvfp4, 1e-6 * errors.energy);
  EXPECT_LT(errors.fp8, 1e-6 * errors.energy);
}

// A layer that saw only zeros has no error, and no NaN.
TEST(FormatTrials, OfZerosIsZero) {
  TrialInputs inputs = MakeTrialInputs();
  inputs.sample.zero_();
  inputs.amax = 0;
  const TrialErrors errors = TryFormats(inputs);
  EXPECT_EQ(errors.energy, 0);
  EXPECT_EQ(errors.nvfp4, 0);
  EXPECT_EQ(errors.fp8, 0);
}

TEST(FormatTrials, AreTheSameOnEachDevice) {
  const TrialErrors expected = TryFormats(MakeTrialInputs(20));
  for (const at::DeviceType device : kTestDevices) {
    if (!HasDevice(device)) continue;
    TrialInputs inputs = MakeTrialInputs(20);
    inputs.sample = inputs.sample.to(device);
    const TrialErrors errors = TryFormats(inputs);
    EXPECT_NEAR(errors.nvfp4, expected.nvfp4, 1e-3 * expected.nvfp4);
    EXPECT_NEAR(errors.fp8, expected.fp8, 1e-3 * expected.fp8);
  }
}

}  // namespace
}  // namespace vernier::calib

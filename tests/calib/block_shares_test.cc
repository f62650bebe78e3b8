#include "calib/block_shares.h"

#include <gtest/gtest.h>

#include "calib/statistics/block_share.h"
#include "tests/calib/loop_support.h"

namespace vernier::calib {
namespace {

using statistics::BlockShare;

TEST(BlockShares, AreOfEachToken) {
  for (const at::DeviceType device : kTestDevices) {
    if (!HasDevice(device)) continue;
    // Four tokens of two channels: unchanged, wholly new, turned round, gone.
    const at::Tensor before =
        at::tensor({3.0F, 4.0F, 0.0F, 0.0F, 1.0F, 0.0F, 1.0F, 1.0F}).view({2, 2, 2}).to(device);
    const at::Tensor after =
        at::tensor({3.0F, 4.0F, 5.0F, 0.0F, -1.0F, 0.0F, 0.0F, 0.0F}).view({2, 2, 2}).to(device);
    const at::Tensor shares = SharesOf(before, after).cpu();
    EXPECT_TRUE(at::equal(shares.flatten(), at::tensor({0.0F, 1.0F, 4.0F, 4.0F})));
    EXPECT_EQ(SumOfShares(shares).item<int64_t>(), 9 * (1 << 20));
  }
}

// Hidden states of several streams a token; nothing at all is no share.
TEST(BlockShares, CountAllOfATokensValues) {
  const at::Tensor before = at::zeros({1, 2, 4, 3});
  at::Tensor after = at::zeros({1, 2, 4, 3});
  after[0][1][2][1] = 2.0F;
  EXPECT_TRUE(at::equal(SharesOf(before, after).flatten(), at::tensor({0.0F, 1.0F})));
}

TEST(BlockShares, TheMeanIsOverTokens) {
  EXPECT_EQ(BlockShare::Mean({.tokens = 4, .elements = {3 << 20}}), 0.75);
  EXPECT_EQ(BlockShare::Mean({.tokens = 0, .elements = {0}}), 0);
}

}  // namespace
}  // namespace vernier::calib

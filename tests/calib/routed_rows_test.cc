#include "calib/routed_rows.h"

#include <gtest/gtest.h>

#include "tests/calib/loop_support.h"

namespace vernier::calib {
namespace {

class RoutedRowsTest : public ::testing::TestWithParam<at::DeviceType> {
 protected:
  void SetUp() override {
    if (!HasDevice(GetParam())) GTEST_SKIP() << "no such device in this build or machine";
  }
};

TEST_P(RoutedRowsTest, AreThoseThatChoseTheExpertInOrder) {
  constexpr int64_t kTokens = 500, kExperts = 7, kChosen = 3;
  at::Tensor chosen =
      at::rand({kTokens, kExperts}).argsort(int64_t{1}).slice(1, 0, kChosen).to(at::kInt);
  chosen.slice(0, 100, 120).fill_(-1);  // padding
  const at::Tensor weights = at::rand({kTokens, kChosen});
  const RoutedRows routed(chosen.to(GetParam()), weights.to(GetParam()), kExperts);
  int64_t all = 0;
  for (int64_t expert = 0; expert < kExperts; ++expert) {
    const RoutedRows::Rows rows = routed.Of(expert);
    const at::Tensor hits = chosen.eq(expert).nonzero();
    EXPECT_TRUE(at::equal(rows.rows.cpu(), hits.select(1, 0)));
    EXPECT_TRUE(at::equal(rows.weights.cpu().squeeze(1),
                          weights.index({hits.select(1, 0), hits.select(1, 1)})));
    EXPECT_EQ(routed.Count(expert), hits.size(0));
    all += rows.count();
  }
  EXPECT_EQ(all, (kTokens - 20) * kChosen);
}

TEST_P(RoutedRowsTest, KnowWhetherATokenChoseAnExpertTwice) {
  const auto distinct = [&](const at::Tensor& chosen) {
    const at::Tensor on_device = chosen.to(at::kInt).to(GetParam());
    return RoutedRows(on_device, at::ones(chosen.sizes()).to(GetParam()), 3).Distinct();
  };
  EXPECT_TRUE(distinct(at::tensor({0, 1, 1, 2, -1, -1}).view({3, 2})));
  EXPECT_FALSE(distinct(at::tensor({0, 1, 2, 2, -1, -1}).view({3, 2})));
}

TEST_P(RoutedRowsTest, AnExpertThatNobodyChoseHasNone) {
  const auto on_device = at::TensorOptions().device(GetParam());
  const RoutedRows routed(at::full({4, 1}, 2, on_device.dtype(at::kInt)),
                          at::ones({4, 1}, on_device), 4);
  EXPECT_EQ(routed.Of(1).count(), 0);
  EXPECT_EQ(routed.Of(3).count(), 0);
  EXPECT_EQ(routed.Of(2).Slice(1, 3).rows.sum().item<int64_t>(), 1 + 2);
}

INSTANTIATE_TEST_SUITE_P(Devices, RoutedRowsTest, ::testing::ValuesIn(kTestDevices),
                         [](const auto& info) { return DeviceName(info.param); });

}  // namespace
}  // namespace vernier::calib

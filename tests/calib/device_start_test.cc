#include "calib/device_start.h"

#include <gtest/gtest.h>

#include "calib/device_forward.h"
#include "tests/calib/loop_support.h"

namespace vernier::calib {
namespace {

class DeviceStartTest : public ::testing::TestWithParam<at::DeviceType> {
 protected:
  void SetUp() override {
    if (!HasDevice(GetParam())) GTEST_SKIP() << "no such device in this build or machine";
  }
};

TEST_P(DeviceStartTest, LeavesADeviceThatComputes) {
  DeviceStart start(GetParam(), at::kBFloat16);
  start.Wait();
  start.Wait();  // of nothing any more
  const at::Tensor x = at::ones({4, 4}, at::TensorOptions().device(GetParam()));
  EXPECT_EQ(at::mm(x, x).sum().item<float>(), 64);
}

// As where a calibration turns out to be finished.
TEST_P(DeviceStartTest, NeedNotBeWaitedFor) { DeviceStart(GetParam(), at::kFloat); }

// "cuda" is a device that has been asked already.
TEST_P(DeviceStartTest, KernelsAreThoseOfTheDeviceHoweverItIsNamed) {
  const at::Device unnumbered(GetParam());
  const bool found = DeviceForward::For(unnumbered).has_value();
  EXPECT_EQ(found, unnumbered.is_cuda());
  EXPECT_EQ(DeviceForward::For(at::ones({4}, at::TensorOptions().device(unnumbered))).has_value(),
            found);
}

INSTANTIATE_TEST_SUITE_P(Devices, DeviceStartTest, ::testing::ValuesIn(kTestDevices),
                         [](const auto& info) { return DeviceName(info.param); });

}  // namespace
}  // namespace vernier::calib

#include "calib/device.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "calib/blas_core.h"
#include "tests/support/expect_error.h"

namespace vernier::calib {
namespace {

TEST(DeviceTest, CpuIsAlwaysThereAndNonsenseNever) {
  EXPECT_TRUE(ParseDevice("cpu").is_cpu());
  for (const char* name : {"cuda:4096", "cuda:x", "cuda:-3", "gpu", ""}) {
    EXPECT_VERNIER_ERROR(ParseDevice(name), ErrorCode::kBadDevice, name);
  }
}

TEST(DeviceTest, OnTheCpuDeviceMemoryIsHostMemory) {
  const MachineMemory memory = ReadMachineMemory(at::kCPU);
  EXPECT_GT(memory.host_available, 0u);
  EXPECT_EQ(memory.device_available, memory.host_available);
}

TEST(DeviceTest, CudaMemoryIsReadWhereThereIsCuda) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device in this build or machine";
  EXPECT_GT(ReadMachineMemory(ParseDevice("cuda:0")).device_available, 0u);
}

class ThreadsTest : public ::testing::Test {
 protected:
  ThreadsTest() {
    unsetenv("OMP_NUM_THREADS");
    unsetenv("MKL_NUM_THREADS");
  }
  ~ThreadsTest() override {
    unsetenv("OMP_NUM_THREADS");
    at::set_num_threads(before_);
  }

 private:
  const int before_ = at::get_num_threads();
};

TEST_F(ThreadsTest, AreOneForEachProcessorUnlessSomebodySays) {
  at::set_num_threads(1);
  SetThreads(0);
  EXPECT_EQ(at::get_num_threads(), static_cast<int>(std::thread::hardware_concurrency()));
  SetThreads(3);
  EXPECT_EQ(at::get_num_threads(), 3);
  setenv("OMP_NUM_THREADS", "3", /*overwrite=*/1);
  SetThreads(0);
  EXPECT_EQ(at::get_num_threads(), 3) << "libtorch is told";
}

TEST(BlasCoreTest, AChosenCoreIsNotOverruled) {
  setenv(kBlasCoreVariable, "Haswell", /*overwrite=*/1);
  EXPECT_FALSE(BetterBlasCore().has_value());
}

}  // namespace
}  // namespace vernier::calib

#include "calib/device.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/thread_count.h"
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

TEST(DeviceTest, ThreadsAreSetAlsoWhereNobodySaysHowMany) {
  const int before = at::get_num_threads();
  at::set_num_threads(ComputeThreadCount(0) + 1);
  SetThreads(0);
  EXPECT_EQ(at::get_num_threads(), ComputeThreadCount(0));
  SetThreads(3);
  EXPECT_EQ(at::get_num_threads(), 3);
  at::set_num_threads(before);
}

TEST(BlasCoreTest, AChosenCoreIsNotOverruled) {
  setenv(kBlasCoreVariable, "Haswell", /*overwrite=*/1);
  EXPECT_FALSE(BetterBlasCore().has_value());
}

}  // namespace
}  // namespace vernier::calib

#include "base/thread_count.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

namespace vernier {
namespace {

class ThreadCountTest : public ::testing::Test {
 protected:
  ThreadCountTest() { Forget(); }
  ~ThreadCountTest() override { Forget(); }

  static void Forget() {
    unsetenv("OMP_NUM_THREADS");
    unsetenv("MKL_NUM_THREADS");
  }

  const int processors_ = static_cast<int>(std::thread::hardware_concurrency());
};

TEST_F(ThreadCountTest, IsWhatIsWantedOrTheNumberOfProcessors) {
  EXPECT_EQ(ThreadCount(3), 3);
  EXPECT_EQ(ThreadCount(), processors_);
  EXPECT_EQ(ComputeThreadCount(3), 3);
  EXPECT_EQ(ComputeThreadCount(0), processors_);
}

TEST_F(ThreadCountTest, TheEnvironmentSaysHowManyCompute) {
  setenv("MKL_NUM_THREADS", "5", /*overwrite=*/1);
  EXPECT_EQ(ComputeThreadCount(0), 5);
  setenv("OMP_NUM_THREADS", "7,2", /*overwrite=*/1);
  EXPECT_EQ(ComputeThreadCount(0), 7);
  EXPECT_EQ(ComputeThreadCount(3), 3) << "who wants a number gets it";
  EXPECT_EQ(ThreadCount(), processors_) << "copying and encoding is not OpenMP's";
}

TEST_F(ThreadCountTest, WhatIsNoNumberSaysNothing) {
  for (const char* value : {"", "many", "0", "-4", "4097", "99999999999999"}) {
    setenv("OMP_NUM_THREADS", value, /*overwrite=*/1);
    EXPECT_EQ(ComputeThreadCount(0), processors_) << value;
  }
}

}  // namespace
}  // namespace vernier

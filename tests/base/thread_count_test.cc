#include "base/thread_count.h"

#include <gtest/gtest.h>
#include <sched.h>

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

  const int processors_ = ThreadCount();
};

TEST_F(ThreadCountTest, IsWhatIsWantedOrTheNumberOfProcessors) {
  EXPECT_EQ(ThreadCount(3), 3);
  EXPECT_GE(processors_, 1);
  EXPECT_LE(processors_, static_cast<int>(std::thread::hardware_concurrency()));
  EXPECT_EQ(ComputeThreadCount(3), 3);
  EXPECT_EQ(ComputeThreadCount(0), processors_);
}

TEST_F(ThreadCountTest, ProcessorsAreThoseThatTheProcessMayUse) {
  cpu_set_t before, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_EQ(ThreadCount(), 1);
  ASSERT_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
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

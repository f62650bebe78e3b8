#include "base/resource_use.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include "base/thread_count.h"

namespace vernier {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(ResourceUseTest, ReadsBusyTimesOfDisks) {
  EXPECT_THAT(
      DiskBusyMilliseconds("   8       0 sda 11 12 13 14 15 16 17 18 19 2010 21 22 23 24 25 26 27\n"
                           " 259       0 nvme0n1 1 2 3 4 5 6 7 8 0 1234 11\n"
                           "not a disk\n"
                           "   7       0 loop0 1 2 3\n"),
      ElementsAre(Pair("nvme0n1", 1234), Pair("sda", 2010)));
  EXPECT_TRUE(DiskBusyMilliseconds("").empty());
}

TEST(ResourceUseTest, TheBusiestComesFirst) {
  ResourceUse use = {.processors = 0.401};
  EXPECT_EQ(BusyText(use), "processors 40 %");
  use.disk = 0.88;
  use.gpu = {"NVIDIA H200", 0.82};
  EXPECT_EQ(BusyText(use), "disk 88 %, NVIDIA H200 82 %, processors 40 %");
}

TEST(ResourceUseTest, ADeviceThatIsNoGpuHasNoUse) {
  for (const char* device : {"cpu", "", "cuda:", "cuda:x", "cuda:4096", "cudax"}) {
    EXPECT_FALSE(Gpu::Find(device)) << device;
    EXPECT_FALSE(ResourceMeter(device).Use().gpu) << device;
  }
}

TEST(GpuTest, ACudaDeviceHasANumber) {
  EXPECT_EQ(CudaIndex("cuda"), 0);
  EXPECT_EQ(CudaIndex("cuda:12"), 12);
  for (const char* other : {"cpu", "", "cud", "cuda:", "cuda:x", "cuda:1x", "cuda1", "cuda 1"}) {
    EXPECT_FALSE(CudaIndex(other)) << other;
  }
}

// Every third question is not answered.
TEST(GpuTest, AMeterTellsTheMeanOfItsAnswers) {
  std::atomic<int> asked = 0;
  GpuMeter meter("a GPU", [&]() -> std::optional<double> {
    const int number = asked++;
    if (number % 3 == 2) return std::nullopt;
    return number % 3 == 0 ? 0.2 : 0.6;
  });
  EXPECT_FALSE(meter.Use()) << "before the first answer";
  while (asked < 6) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const std::optional<GpuUse> use = meter.Use();
  ASSERT_TRUE(use);
  EXPECT_EQ(use->name, "a GPU");
  EXPECT_GT(use->busy, 0.3);
  EXPECT_LT(use->busy, 0.5);
}

TEST(GpuTest, AMeterEndsAtOnceAndWithoutAnAnswer) {
  const auto start = std::chrono::steady_clock::now();
  {
    const GpuMeter meter("a GPU", [] { return std::nullopt; });
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(ResourceUseTest, AThreadThatComputesKeepsOneProcessorBusy) {
  const ResourceMeter idle;
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_LT(idle.Use().processors * ThreadCount(), 0.5);

  const ResourceMeter busy;
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds(100)) {
  }
  const double used = busy.Use().processors * ThreadCount();
  EXPECT_GT(used, 0.02) << "however busy others are";
  EXPECT_LT(used, 1.5);
}

}  // namespace
}  // namespace vernier

#include "calib/budget/host_memory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/temp_dir.h"

namespace vernier::calib {
namespace {

// A made-up machine's files.
class HostMemoryTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, const std::string& content) {
    const std::filesystem::path file = root_.path() / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << content;
  }
  void WriteMemInfo() {
    Write("proc/meminfo", "MemTotal: 9999 kB\nMemFree: 1 kB\nMemAvailable:    1000 kB\n");
  }
  uint64_t Available() const { return AvailableHostMemory(root_.path()); }

  vernier::testing::TempDir root_;
};

TEST_F(HostMemoryTest, IsMemAvailableWithoutLimits) {
  WriteMemInfo();
  EXPECT_EQ(Available(), 1000u * 1024);
  Write("sys/fs/cgroup/memory.max", "max\n");
  EXPECT_EQ(Available(), 1000u * 1024);
}

TEST_F(HostMemoryTest, AGroupsLimitBoundsItLessItsAnonymousMemory) {
  WriteMemInfo();
  Write("proc/self/cgroup", "0::/job\n");
  Write("sys/fs/cgroup/job/memory.max", "500000\n");
  EXPECT_EQ(Available(), 500000u);
  Write("sys/fs/cgroup/job/memory.stat", "anon 100000\nfile 390000\n");
  EXPECT_EQ(Available(), 400000u);
  Write("sys/fs/cgroup/job/memory.stat", "anon 600000\n");
  EXPECT_EQ(Available(), 0u);
}

TEST_F(HostMemoryTest, AParentsLimitCountsToo) {
  WriteMemInfo();
  Write("proc/self/cgroup", "0::/outer/inner\n");
  Write("sys/fs/cgroup/outer/inner/memory.max", "900000\n");
  Write("sys/fs/cgroup/outer/memory.max", "300000\n");
  EXPECT_EQ(Available(), 300000u);
}

TEST_F(HostMemoryTest, UnderstandsVersionOne) {
  WriteMemInfo();
  Write("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/job\n");
  Write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "700000\n");
  Write("sys/fs/cgroup/memory/job/memory.stat", "rss 1\ntotal_rss 200000\n");
  EXPECT_EQ(Available(), 500000u);
}

TEST_F(HostMemoryTest, OfThisMachineIsSomething) {
  EXPECT_EQ(Available(), 0u) << "an empty root has no proc";
  EXPECT_GT(AvailableHostMemory(), 0u);
}

}  // namespace
}  // namespace vernier::calib

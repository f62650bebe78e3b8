// Free memory of a Linux machine, from its proc and cgroup files.
#ifndef VERNIER_CALIB_BUDGET_HOST_MEMORY_H_
#define VERNIER_CALIB_BUDGET_HOST_MEMORY_H_

#include <cstdint>
#include <filesystem>

namespace vernier::calib {

// MemAvailable of <root>/proc/meminfo, bounded by what every memory cgroup (v2 or v1) around this
// process leaves: its limit less its anonymous memory. Page cache counts as free, since the kernel
// gives it up. 0 when there is no proc file system. `root` is "/" except in tests.
uint64_t AvailableHostMemory(const std::filesystem::path& root = "/");

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_BUDGET_HOST_MEMORY_H_

// How busy the machine was.
#ifndef VERNIER_BASE_RESOURCE_USE_H_
#define VERNIER_BASE_RESOURCE_USE_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/gpu.h"

namespace vernier {

// Shares of a stretch of time, 0 to 1.
struct ResourceUse {
  double processors = 0;  // this process, of all processors that it may use
  // Requests were under way at the busiest disk of the machine, whoever made them; nothing where
  // the machine does not say.
  std::optional<double> disk = {};
  std::optional<GpuUse> gpu = {};
};

// "disk 88 %, NVIDIA H200 82 %, processors 40 %": the busiest first.
std::string BusyText(const ResourceUse& use);

// Milliseconds in which each disk had requests under way, from the text of /proc/diskstats (Linux'
// Documentation/admin-guide/iostats.rst, field 10). Lines that are none are left out.
std::map<std::string, uint64_t> DiskBusyMilliseconds(std::string_view diskstats);

// Measures from its construction on.
class ResourceMeter {
 public:
  // Of `device`, such as "cuda:0", as well, where that is a GPU.
  explicit ResourceMeter(std::string_view device = "cpu");

  ResourceUse Use() const;

 private:
  std::chrono::steady_clock::time_point start_;
  double processor_seconds_;
  std::map<std::string, uint64_t> disk_milliseconds_;
  std::optional<GpuMeter> gpu_;
};

}  // namespace vernier

#endif  // VERNIER_BASE_RESOURCE_USE_H_

#include "base/resource_use.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "base/seconds_since.h"
#include "base/text.h"
#include "base/thread_count.h"

namespace vernier {
namespace {

double Seconds(const timeval& time) {
  constexpr double kMicro = 1e-6;
  return static_cast<double>(time.tv_sec) + kMicro * static_cast<double>(time.tv_usec);
}

// Of this process and its threads, so far.
double ProcessorSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
}

std::map<std::string, uint64_t> ReadDisks() {
  std::ifstream file("/proc/diskstats");
  std::stringstream text;
  text << file.rdbuf();
  return DiskBusyMilliseconds(text.str());
}

}  // namespace

std::map<std::string, uint64_t> DiskBusyMilliseconds(std::string_view diskstats) {
  constexpr int kBefore = 9;  // fields between the name and the busy time
  std::map<std::string, uint64_t> disks;
  std::istringstream lines{std::string(diskstats)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    uint64_t number = 0;
    std::string name;
    fields >> number >> number >> name;
    for (int i = 0; i < kBefore; ++i) fields >> number;
    if (fields >> number) disks[name] = number;
  }
  return disks;
}

std::string BusyText(const ResourceUse& use) {
  std::vector<std::pair<double, std::string>> parts = {{use.processors, "processors"}};
  if (use.disk) parts.emplace_back(*use.disk, "disk");
  if (use.gpu) parts.emplace_back(use.gpu->busy, use.gpu->name);
  std::ranges::stable_sort(parts, std::ranges::greater(),
                           [](const auto& part) { return part.first; });
  std::vector<std::string> texts;
  for (const auto& [share, name] : parts) {
    constexpr double kPercent = 100;
    texts.push_back(fmt::format("{} {:.0f} %", name, kPercent * share));
  }
  return JoinNames(texts);
}

ResourceMeter::ResourceMeter(std::string_view device)
    : start_(std::chrono::steady_clock::now()),
      processor_seconds_(ProcessorSeconds()),
      disk_milliseconds_(ReadDisks()) {
  if (const std::optional<Gpu> gpu = Gpu::Find(device)) gpu_.emplace(*gpu);
}

ResourceUse ResourceMeter::Use() const {
  const double seconds = SecondsSince(start_);
  if (seconds <= 0) return {};
  const auto share = [&](double busy, double resources) {
    return std::clamp(busy / (seconds * resources), 0.0, 1.0);
  };
  ResourceUse use{.processors = share(ProcessorSeconds() - processor_seconds_, ThreadCount())};
  constexpr double kMilli = 1e-3;
  for (const auto& [name, now] : ReadDisks()) {
    const auto before = disk_milliseconds_.find(name);
    if (before == disk_milliseconds_.end() || now < before->second) continue;
    const double busy = share(kMilli * static_cast<double>(now - before->second), 1);
    use.disk = std::max(use.disk.value_or(0), busy);
  }
  if (gpu_) use.gpu = gpu_->Use();
  return use;
}

}  // namespace vernier

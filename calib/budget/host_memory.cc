#include "calib/budget/host_memory.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

namespace vernier::calib {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kBytesPerKib = 1024;

// File names of a memory controller; v1 and v2 differ in nothing else that matters here.
struct Controller {
  fs::path mount;
  std::string_view limit_file;
  std::string_view anonymous_key;  // in memory.stat, over the whole subtree
};

// The number behind the first field `key` of a file of "key value" lines.
std::optional<uint64_t> ReadKey(const fs::path& file, std::string_view key) {
  std::ifstream in(file);
  std::string name;
  uint64_t value = 0;
  for (std::string line; in >> name; std::getline(in, line)) {
    if (name == key && in >> value) return value;
  }
  return std::nullopt;
}

// Nothing for "max": no limit.
std::optional<uint64_t> ReadNumber(const fs::path& file) {
  std::ifstream in(file);
  uint64_t value = 0;
  if (in >> value) return value;
  return std::nullopt;
}

// This process's group below the controller's mount: a line "0::/path" (v2) or "N:memory:/path".
fs::path GroupPath(const fs::path& root, std::string_view controllers) {
  std::ifstream in(root / "proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    if (line.substr(first + 1, second - first - 1) != controllers) continue;
    return fs::path(line.substr(second + 1)).relative_path();
  }
  return {};
}

// The tightest of the group and its parents.
uint64_t Bound(const Controller& controller, fs::path group, uint64_t available) {
  while (true) {
    const fs::path directory = controller.mount / group;
    if (const auto limit = ReadNumber(directory / controller.limit_file)) {
      const uint64_t used =
          ReadKey(directory / "memory.stat", controller.anonymous_key).value_or(0);
      available = std::min(available, *limit - std::min(*limit, used));
    }
    if (group.empty()) return available;
    group = group.parent_path();
  }
}

}  // namespace

uint64_t AvailableHostMemory(const fs::path& root) {
  uint64_t available = ReadKey(root / "proc/meminfo", "MemAvailable:").value_or(0) * kBytesPerKib;
  const Controller v2 = {root / "sys/fs/cgroup", "memory.max", "anon"};
  const Controller v1 = {root / "sys/fs/cgroup/memory", "memory.limit_in_bytes", "total_rss"};
  available = Bound(v2, GroupPath(root, ""), available);
  return Bound(v1, GroupPath(root, "memory"), available);
}

}  // namespace vernier::calib

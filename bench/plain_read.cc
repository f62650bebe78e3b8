// Reads the shards of checkpoints as an audit does, and does nothing with them: what the time of
// `vernier validate` is compared with.
//   plain_read DIRECTORY...
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <filesystem>
#include <optional>

#include "base/buffer_pool.h"
#include "base/read_ahead.h"

namespace {

namespace fs = std::filesystem;

constexpr uint64_t kChunkBytes = 4u << 20u;
constexpr uint64_t kWindowBytes = 64u << 20u;

uint64_t ReadFile(const fs::path& path) {
  const uint64_t size = fs::file_size(path);
  vernier::ReadAhead reader(
      {path},
      [done = uint64_t{0}, size]() mutable -> std::optional<vernier::ReadAhead::Job> {
        if (done == size) return std::nullopt;
        const uint64_t begin = done;
        done = std::min(size, done + kChunkBytes);
        return vernier::ReadAhead::Job{{0, begin, done}};
      },
      kWindowBytes, vernier::BufferPool::Make(kWindowBytes), vernier::IoOptionsFromEnvironment());
  while (reader.Next()) {
  }
  return size;
}

void Run(int count, char** directories) {
  const auto start = std::chrono::steady_clock::now();
  uint64_t bytes = 0;
  for (int i = 0; i < count; ++i) {
    for (const fs::directory_entry& entry : fs::directory_iterator(directories[i])) {
      if (entry.path().extension() == ".safetensors") bytes += ReadFile(entry.path());
    }
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  fmt::print("{:.2f} GB in {:.2f} s: {:.2f} GB/s\n", static_cast<double>(bytes) / 1e9,
             seconds.count(), static_cast<double>(bytes) / 1e9 / seconds.count());
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc >= 2) {
      Run(argc - 1, argv + 1);
      return 0;
    }
    fmt::print(stderr, "usage: plain_read DIRECTORY...\n");
  } catch (const std::exception& error) {
    fmt::print(stderr, "plain_read: {}\n", error.what());
  }
  return 1;
}

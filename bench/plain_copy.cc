// Copies the shards of a checkpoint, fsync included, with the same reads and writes as a conversion
// and nothing between them: what a conversion's time is compared with.
//   plain_copy SOURCE DESTINATION
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <filesystem>
#include <optional>

#include "base/buffer_pool.h"
#include "base/direct_output.h"
#include "base/file.h"
#include "base/read_ahead.h"

namespace {

namespace fs = std::filesystem;

constexpr uint64_t kChunkBytes = 8u << 20u;
constexpr uint64_t kWindowBytes = 128u << 20u;

void CopyFile(const fs::path& from, const fs::path& to) {
  const vernier::IoOptions io = vernier::IoOptionsFromEnvironment();
  const uint64_t size = fs::file_size(from);
  vernier::DirectOutput output(vernier::PartialPath(to), size, io);
  vernier::ReadAhead reader(
      {from},
      [done = uint64_t{0}, size]() mutable -> std::optional<vernier::ReadAhead::Job> {
        if (done == size) return std::nullopt;
        const uint64_t begin = done;
        done = std::min(size, done + kChunkBytes);
        return vernier::ReadAhead::Job{{0, begin, done}};
      },
      kWindowBytes, vernier::BufferPool::Make(kWindowBytes), io);
  uint64_t offset = 0;
  while (const auto blocks = reader.Next()) {
    output.Write(offset, blocks->front().bytes());
    offset += blocks->front().bytes().size();
  }
  output.Finish();
  vernier::PublishPartial(to);
}

void Run(const fs::path& source, const fs::path& destination) {
  fs::create_directories(destination);
  const auto start = std::chrono::steady_clock::now();
  uint64_t bytes = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(source)) {
    if (!entry.is_regular_file()) continue;
    CopyFile(entry.path(), destination / entry.path().filename());
    bytes += entry.file_size();
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  fmt::print("{:.2f} GB in {:.2f} s: {:.2f} GB/s read, and as many written\n",
             static_cast<double>(bytes) / 1e9, seconds.count(),
             static_cast<double>(bytes) / 1e9 / seconds.count());
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 3) {
      Run(argv[1], argv[2]);
      return 0;
    }
    fmt::print(stderr, "usage: plain_copy SOURCE DESTINATION\n");
  } catch (const std::exception& error) {
    fmt::print(stderr, "plain_copy: {}\n", error.what());
  }
  return 1;
}

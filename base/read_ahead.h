// Reads byte ranges of many files in a given order, ahead of their use.
#ifndef VERNIER_BASE_READ_AHEAD_H_
#define VERNIER_BASE_READ_AHEAD_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/buffer_pool.h"
#include "base/io_options.h"

namespace vernier {

struct FileRange {
  size_t file = 0;  // index into the files given to ReadAhead
  uint64_t begin = 0;
  uint64_t end = 0;
};

// Bytes of one range. They lie anywhere in an aligned block of memory.
class ReadBlock {
 public:
  ReadBlock() = default;
  ReadBlock(PooledBuffer memory, uint64_t skip, uint64_t size)
      : memory_(std::move(memory)), skip_(skip), size_(size) {}

  std::span<const std::byte> bytes() const {
    return memory_.bytes().subspan(static_cast<size_t>(skip_), static_cast<size_t>(size_));
  }

 private:
  PooledBuffer memory_;
  uint64_t skip_ = 0;
  uint64_t size_ = 0;
};

// Asks `next_job` for jobs, each a list of ranges, and reads them in that order with many requests
// under way, until `window_bytes` are read or being read; the job that passes the limit is the
// last. Used by one thread at a time.
class ReadAhead {
 public:
  using Job = std::vector<FileRange>;

  ReadAhead(std::vector<std::filesystem::path> files, std::function<std::optional<Job>()> next_job,
            uint64_t window_bytes, std::shared_ptr<BufferPool> pool, const IoOptions& options);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // The next job's blocks, in the order of its ranges; nothing when `next_job` had no more. Errors:
  // kFileOpen, kFileRead naming the file (a file that ends too early among them), and what
  // `next_job` throws.
  std::optional<std::vector<ReadBlock>> Next();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vernier

#endif  // VERNIER_BASE_READ_AHEAD_H_

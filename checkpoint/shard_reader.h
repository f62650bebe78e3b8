// Reads byte ranges of a checkpoint's shards as fast as the machine gives them.
#ifndef VERNIER_CHECKPOINT_SHARD_READER_H_
#define VERNIER_CHECKPOINT_SHARD_READER_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <semaphore>
#include <vector>

#include "base/cached_pages.h"
#include "base/file.h"
#include "base/io_options.h"
#include "checkpoint/checkpoint.h"

namespace vernier::checkpoint {

// Bytes that the page cache has are copied from it; all others are read around it, by a few threads
// at a time whatever number of them asks: disks slow down under more. Thread-safe.
class ShardReader {
 public:
  // `checkpoint` must outlive it.
  explicit ShardReader(const Checkpoint& checkpoint,
                       IoOptions options = IoOptionsFromEnvironment());

  // Where byte `begin` of a shard comes to lie in memory that begins at a multiple of kIoAlignment,
  // and how much of that memory Read may write for [begin, end).
  static uint64_t Skip(uint64_t begin);
  static uint64_t Room(uint64_t begin, uint64_t end);

  // Reads bytes [begin, end) of the shard to memory + Skip(begin). kFileOpen, kFileRead.
  void Read(size_t shard, uint64_t begin, uint64_t end, std::byte* memory);

 private:
  struct Files {
    File buffered;
    File direct;
    CachedPages cached;
  };

  const Files& Open(size_t shard);
  // [begin, end) lies within one stretch; `memory` as for Read.
  void ReadAround(const Files& files, uint64_t begin, uint64_t end, std::byte* memory);

  const std::vector<std::filesystem::path> paths_;
  const bool direct_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Files>> files_;
  std::counting_semaphore<> streams_;
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_SHARD_READER_H_

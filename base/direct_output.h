// Writes a file of known size in pieces of any order and alignment, asynchronously.
#ifndef VERNIER_BASE_DIRECT_OUTPUT_H_
#define VERNIER_BASE_DIRECT_OUTPUT_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/file.h"
#include "base/io_options.h"

namespace vernier {

// Direct I/O takes whole blocks only: a block that two pieces share is collected in memory until
// all of its bytes are there. Used by one thread at a time. Errors: kNoSpace, kFileWrite.
class DirectOutput {
 public:
  // Creates or truncates the file and reserves its blocks, so that a full disk shows now.
  DirectOutput(const std::filesystem::path& path, uint64_t size, const IoOptions& options);
  ~DirectOutput();
  DirectOutput(const DirectOutput&) = delete;
  DirectOutput& operator=(const DirectOutput&) = delete;

  // Copies `bytes`, which become the file's at `offset`. Every byte is written exactly once.
  void Write(uint64_t offset, std::span<const std::byte> bytes);

  // Waits until everything is written, and gives the file its exact length. Every byte must have
  // been given. Durability is the caller's (PublishPartial).
  void Finish();

 private:
  // A block that is not complete yet.
  struct SharedBlock {
    AlignedBuffer memory;
    uint64_t filled = 0;
  };
  struct Transfer {
    AlignedBuffer memory;
    uint64_t offset = 0;
    uint64_t begin = 0;  // in memory
    uint64_t end = 0;
  };

  void FillShared(uint64_t offset, std::span<const std::byte> bytes);
  void WriteBlocks(uint64_t offset, std::span<const std::byte> bytes);
  AlignedBuffer TakeBuffer();
  void Submit(Transfer transfer);
  void WaitForOne();

  File file_;
  uint64_t size_;
  IoOptions options_;
  std::unique_ptr<IoQueue> queue_;
  std::map<uint64_t, SharedBlock> shared_;  // by offset
  std::unordered_map<uint64_t, Transfer> under_way_;
  std::vector<AlignedBuffer> free_;
  uint64_t next_tag_ = 0;
};

}  // namespace vernier

#endif  // VERNIER_BASE_DIRECT_OUTPUT_H_

#include "checkpoint/shard_reader.h"

#include <algorithm>
#include <span>

#include "base/aligned_buffer.h"

namespace vernier::checkpoint {
namespace {

// Reads under way around the page cache. One or two keep most disks busy, 16 slow some of them
// down.
constexpr ptrdiff_t kDirectReads = 4;
constexpr uint64_t kDirectBytes = 16u << 20u;  // of one of them
// Looked for in the page cache at once.
constexpr uint64_t kLookBytes = 1u << 20u;

// Where the stretch that begins at `begin` ends, of which the page cache has all or nothing whole.
struct Stretch {
  bool cached = false;
  uint64_t end = 0;
};

Stretch StretchFrom(const CachedPages& pages, uint64_t begin, uint64_t end) {
  const auto next = [&](uint64_t at) { return std::min(end, AlignDown(at + kLookBytes)); };
  Stretch stretch{.cached = pages.Hold(begin, next(begin)), .end = next(begin)};
  while (stretch.end < end && stretch.end - begin < kDirectBytes - kLookBytes &&
         pages.Hold(stretch.end, next(stretch.end)) == stretch.cached) {
    stretch.end = next(stretch.end);
  }
  return stretch;
}

}  // namespace

ShardReader::ShardReader(const Checkpoint& checkpoint, IoOptions options)
    : paths_(checkpoint.ShardPaths()),
      direct_(options.direct),
      files_(paths_.size()),
      streams_(kDirectReads) {}

uint64_t ShardReader::Skip(uint64_t begin) { return begin - AlignDown(begin); }

uint64_t ShardReader::Room(uint64_t begin, uint64_t end) { return AlignUp(end) - AlignDown(begin); }

const ShardReader::Files& ShardReader::Open(size_t shard) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Files>& files = files_.at(shard);
  if (!files) {
    const FileAccess access = direct_ ? FileAccess::kDirect : FileAccess::kBuffered;
    File buffered = File::OpenForRead(paths_[shard]);
    CachedPages cached(buffered);
    files = std::make_unique<Files>(Files{.buffered = std::move(buffered),
                                          .direct = File::OpenForRead(paths_[shard], access),
                                          .cached = std::move(cached)});
  }
  return *files;
}

void ShardReader::Read(size_t shard, uint64_t begin, uint64_t end, std::byte* memory) {
  const Files& files = Open(shard);
  for (uint64_t at = begin; at < end;) {
    const Stretch stretch = StretchFrom(files.cached, at, end);
    std::byte* const place = memory + (at - AlignDown(begin));
    if (stretch.cached) {
      files.buffered.ReadAt(at, {place, stretch.end - at});
    } else {
      ReadAround(files, at, stretch.end, memory + (AlignDown(at) - AlignDown(begin)));
    }
    at = stretch.end;
  }
}

void ShardReader::ReadAround(const Files& files, uint64_t begin, uint64_t end, std::byte* memory) {
  const bool direct = files.direct.direct();
  const uint64_t from = direct ? AlignDown(begin) : begin;
  const uint64_t to = direct ? AlignUp(end) : end;
  streams_.acquire();
  try {
    files.direct.ReadAtLeast(from, {memory + (from - AlignDown(begin)), to - from}, end - from);
  } catch (...) {
    streams_.release();
    throw;
  }
  streams_.release();
}

}  // namespace vernier::checkpoint

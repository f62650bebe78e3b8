#include "checkpoint/read_speed.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/buffer_pool.h"
#include "base/cached_pages.h"
#include "base/file.h"
#include "base/read_ahead.h"
#include "base/seconds_since.h"

namespace vernier::checkpoint {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kPiece = uint64_t{4} << 20;
constexpr uint64_t kWindow = 8 * kPiece;
constexpr double kEnoughSeconds = 1;

}  // namespace

double MeasureReadSpeed(const Checkpoint& checkpoint) {
  const auto largest = std::ranges::max_element(checkpoint.shards(), {}, &Shard::file_bytes);
  const Clock::time_point start = Clock::now();
  uint64_t asked = 0, read = 0;
  const auto next = [&]() -> std::optional<ReadAhead::Job> {
    const uint64_t begin = asked;
    if (begin >= largest->file_bytes || SecondsSince(start) > kEnoughSeconds) return std::nullopt;
    asked = std::min(begin + kPiece, largest->file_bytes);
    return ReadAhead::Job{{.begin = begin, .end = asked}};
  };
  ReadAhead reader({checkpoint.directory() / largest->file_name}, next, kWindow,
                   BufferPool::Make(kWindow), IoOptionsFromEnvironment());
  while (const std::optional<std::vector<ReadBlock>> blocks = reader.Next()) {
    for (const ReadBlock& block : *blocks) read += block.bytes().size();
  }
  return static_cast<double>(read) / SecondsSince(start);
}

double CachedShare(const Checkpoint& checkpoint) {
  uint64_t all = 0, cached = 0;
  for (const Shard& shard : checkpoint.shards()) {
    const CachedPages pages(File::OpenForRead(checkpoint.directory() / shard.file_name));
    for (uint64_t begin = 0; begin < shard.file_bytes; begin += kPiece) {
      const uint64_t end = std::min(begin + kPiece, shard.file_bytes);
      all += end - begin;
      if (pages.Hold(begin, end)) cached += end - begin;
    }
  }
  return all == 0 ? 0 : static_cast<double>(cached) / static_cast<double>(all);
}

}  // namespace vernier::checkpoint

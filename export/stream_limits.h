// How much memory streaming takes, whatever the model's size.
#ifndef VERNIER_EXPORT_STREAM_LIMITS_H_
#define VERNIER_EXPORT_STREAM_LIMITS_H_

#include <algorithm>
#include <cstdint>

namespace vernier::exporter {

// Parts of a conversion's memory; together the total it was made from. The buffers of a file being
// written (spare_bytes or 64 MiB, whichever is less), one tile per thread and what is known of each
// tensor come on top.
struct StreamLimits {
  // A group of weights whose common scale depends on all of their values is read once and held, if
  // its source and its output fit here; a larger one is read twice.
  uint64_t hold_bytes = 0;
  uint64_t read_ahead_bytes = 0;  // read, but not yet taken by a thread
  uint64_t work_bytes = 0;        // source and output of what threads work on or wait to write
  uint64_t spare_bytes = 0;       // freed, and kept for the next job
};

constexpr StreamLimits LimitsOf(uint64_t total_bytes) {
  return {.hold_bytes = total_bytes / 4,
          .read_ahead_bytes = total_bytes / 4,
          .work_bytes = total_bytes / 2,
          .spare_bytes = total_bytes / 4};
}

// Large tensors are cut into chunks of about this many bytes, before or after conversion, whichever
// are more.
inline constexpr uint64_t kChunkBytes = 8u << 20u;

// Values that are decoded and encoded at once: their F32 form stays in a core's cache.
inline constexpr int64_t kTileValues = 32 << 10;

// Rows of `row_bytes` bytes that make a chunk: a multiple of `quantum`, and one quantum at least.
inline int64_t RowsPerChunk(uint64_t row_bytes, int64_t quantum) {
  const auto rows = static_cast<int64_t>(kChunkBytes / std::max<uint64_t>(1, row_bytes));
  return std::max(quantum, rows / quantum * quantum);
}

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_STREAM_LIMITS_H_

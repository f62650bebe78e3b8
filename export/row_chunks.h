// How large tensors are cut, so that no step holds one whole.
#ifndef VERNIER_EXPORT_ROW_CHUNKS_H_
#define VERNIER_EXPORT_ROW_CHUNKS_H_

#include <algorithm>
#include <cstdint>

namespace vernier::exporter {

// A chunk's largest size as bytes, and as F32 values while it is being quantised.
inline constexpr uint64_t kChunkBytes = 8 << 20;
inline constexpr int64_t kChunkValues = kChunkBytes / sizeof(float);

// Rows of `columns` values that make a chunk; one at least.
inline int64_t RowsPerChunk(int64_t columns) {
  return std::max<int64_t>(1, kChunkValues / std::max<int64_t>(1, columns));
}

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_ROW_CHUNKS_H_

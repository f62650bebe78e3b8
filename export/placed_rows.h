// Rows of a weight as the bytes of a container that keeps it in its own way.
#ifndef VERNIER_EXPORT_PLACED_ROWS_H_
#define VERNIER_EXPORT_PLACED_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/buffer_pool.h"
#include "checkpoint/containers/placement.h"
#include "export/row_bytes.h"

namespace vernier::exporter {

// Bytes for a place in one of the weight's tensors of values.
struct PlacedBytes {
  size_t tensor = 0;  // of the weight: the first or the second
  uint64_t offset = 0;
  PooledBuffer bytes;
};

// `codes` and `scales` are those of `rows`, which are whole heads (Placement::head_rows), of a
// weight with `columns` columns. Memory: the result, and as much again where order changes.
std::vector<PlacedBytes> PlaceRows(const checkpoint::Placement& placement, const WeightRows& rows,
                                   int64_t columns, std::span<const uint8_t> codes,
                                   std::span<const uint8_t> scales, BufferPool& pool);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_PLACED_ROWS_H_

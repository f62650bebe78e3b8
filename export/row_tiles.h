// Rows decoded a cache-sized tile at a time.
#ifndef VERNIER_EXPORT_ROW_TILES_H_
#define VERNIER_EXPORT_ROW_TILES_H_

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <span>
#include <vector>

#include "checkpoint/rescaling.h"
#include "checkpoint/weight_decoder.h"
#include "export/stream_limits.h"

namespace vernier::exporter {

// Calls visit(tile, values) for consecutive tiles of `quantum` rows or a multiple; `values` are
// what `rescaling` makes of the tile's values, as BF16 (uint16_t) where that is exact, as F32
// otherwise.
template <typename Visit>
void ForEachTile(const checkpoint::Checkpoint& checkpoint, const checkpoint::LogicalWeight& weight,
                 const checkpoint::Rescaling& rescaling, const checkpoint::RawRows& rows,
                 int64_t quantum, Visit visit) {
  const int64_t columns = weight.columns();
  const int64_t step =
      std::max<int64_t>(1, kTileValues / std::max<int64_t>(1, columns * quantum)) * quantum;
  const auto visit_as = [&]<typename Value>(std::vector<Value> values) {
    for (int64_t done = 0; done < rows.row_count; done += step) {
      const int64_t count = std::min(step, rows.row_count - done);
      const checkpoint::RawRows tile =
          SubRows(checkpoint, weight, rows, rows.row_begin + done, count);
      values.resize(static_cast<size_t>(count * columns));
      DecodeRows(checkpoint, weight, tile, std::span<Value>(values));
      if constexpr (std::same_as<Value, float>) rescaling.Apply(tile.row_begin, columns, values);
      visit(tile, std::span<const Value>(values));
    }
  };
  if (rescaling.empty() && ExactInBf16(checkpoint, weight)) {
    visit_as(std::vector<uint16_t>());
  } else {
    visit_as(std::vector<float>());
  }
}

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_ROW_TILES_H_

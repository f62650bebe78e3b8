#include "quantizers/kernel_layouts.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "quantizers/float_formats.h"

namespace vernier::quantizers {
namespace {

constexpr size_t kTileColumns = 4;
constexpr size_t kLargeTileRows = 128;
constexpr size_t kSmallTileRows = 8;

size_t TileRows(ScaleSwizzle swizzle) {
  return swizzle == ScaleSwizzle::k128x4 ? kLargeTileRows : kSmallTileRows;
}

size_t TilesFor(size_t count, size_t tile) { return (count + tile - 1) / tile; }

// Where a row's four scales begin within its tile.
size_t OffsetInTile(size_t tile_rows, size_t row) {
  if (tile_rows == kSmallTileRows) return row * kTileColumns;
  return row % 32 * 16 + row / 32 * kTileColumns;
}

// A matrix of scales and the grid of its tiles.
struct TileGrid {
  size_t rows;
  size_t columns;
  size_t tile_rows;
  size_t row_tiles;
  size_t column_tiles;

  size_t tile_bytes() const { return tile_rows * kTileColumns; }
  size_t bytes() const { return row_tiles * column_tiles * tile_bytes(); }
};

TileGrid MakeGrid(size_t rows, int64_t columns, size_t tile_rows) {
  assert(columns > 0);
  const auto width = static_cast<size_t>(columns);
  return {rows, width, tile_rows, TilesFor(rows, tile_rows), TilesFor(width, kTileColumns)};
}

// Calls copy(matrix offset, tiled offset, bytes) for every row's part of every tile. `tile_index`
// says which tile in storage order the one at (row tile, column tile) is.
template <typename TileIndex, typename Copy>
void ForEachPart(const TileGrid& grid, TileIndex tile_index, Copy copy) {
  for (size_t row = 0; row < grid.rows; ++row) {
    const size_t in_tile = OffsetInTile(grid.tile_rows, row % grid.tile_rows);
    for (size_t tile = 0; tile < grid.column_tiles; ++tile) {
      const size_t column = tile * kTileColumns;
      const size_t tiled = tile_index(row / grid.tile_rows, tile) * grid.tile_bytes() + in_tile;
      copy(row * grid.columns + column, tiled, std::min(kTileColumns, grid.columns - column));
    }
  }
}

// Tiles of one row of tiles follow each other.
auto RowMajorTiles(const TileGrid& grid) {
  return [columns = grid.column_tiles](size_t row_tile, size_t column_tile) {
    return row_tile * columns + column_tile;
  };
}

auto ColumnMajorTiles(const TileGrid& grid) {
  return [rows = grid.row_tiles](size_t row_tile, size_t column_tile) {
    return column_tile * rows + row_tile;
  };
}

TileGrid MegaMoeGrid(size_t bytes, int64_t columns) {
  const TileGrid grid = MakeGrid(bytes / static_cast<size_t>(columns), columns, kLargeTileRows);
  assert(grid.rows % kLargeTileRows == 0 && grid.columns % kTileColumns == 0);
  assert(grid.bytes() == bytes);
  return grid;
}

}  // namespace

size_t SwizzledSize(ScaleSwizzle swizzle, int64_t rows, int64_t columns) {
  return MakeGrid(static_cast<size_t>(rows), columns, TileRows(swizzle)).bytes();
}

void SwizzleScales(ScaleSwizzle swizzle, std::span<const uint8_t> scales, int64_t columns,
                   std::span<uint8_t> swizzled) {
  const size_t rows = scales.size() / static_cast<size_t>(columns);
  const TileGrid grid = MakeGrid(rows, columns, TileRows(swizzle));
  assert(scales.size() == rows * grid.columns && swizzled.size() == grid.bytes());
  std::fill(swizzled.begin(), swizzled.end(), uint8_t{0});
  ForEachPart(grid, RowMajorTiles(grid), [&](size_t matrix, size_t tiled, size_t bytes) {
    std::memcpy(&swizzled[tiled], &scales[matrix], bytes);
  });
}

void UnswizzleScales(ScaleSwizzle swizzle, std::span<const uint8_t> swizzled, int64_t columns,
                     std::span<uint8_t> scales) {
  const size_t rows = scales.size() / static_cast<size_t>(columns);
  const TileGrid grid = MakeGrid(rows, columns, TileRows(swizzle));
  assert(scales.size() == rows * grid.columns && swizzled.size() == grid.bytes());
  ForEachPart(grid, RowMajorTiles(grid), [&](size_t matrix, size_t tiled, size_t bytes) {
    std::memcpy(&scales[matrix], &swizzled[tiled], bytes);
  });
}

void PackMegaMoeScales(std::span<const uint8_t> scales, int64_t columns,
                       std::span<uint8_t> packed) {
  const TileGrid grid = MegaMoeGrid(scales.size(), columns);
  assert(packed.size() == scales.size());
  ForEachPart(grid, ColumnMajorTiles(grid), [&](size_t matrix, size_t tiled, size_t) {
    std::memcpy(&packed[tiled], &scales[matrix], kTileColumns);
  });
}

void UnpackMegaMoeScales(std::span<const uint8_t> packed, int64_t columns,
                         std::span<uint8_t> scales) {
  const TileGrid grid = MegaMoeGrid(packed.size(), columns);
  assert(packed.size() == scales.size());
  ForEachPart(grid, ColumnMajorTiles(grid), [&](size_t matrix, size_t tiled, size_t) {
    std::memcpy(&scales[matrix], &packed[tiled], kTileColumns);
  });
}

void GatherRows(std::span<const uint8_t> source, std::span<const int64_t> source_rows,
                std::span<uint8_t> target) {
  if (source_rows.empty()) return;
  assert(source.size() % source_rows.size() == 0 && target.size() == source.size());
  const size_t bytes = source.size() / source_rows.size();
  for (size_t row = 0; row < source_rows.size(); ++row) {
    const auto from = static_cast<size_t>(source_rows[row]);
    std::copy_n(source.begin() + from * bytes, bytes, target.begin() + row * bytes);
  }
}

void ScatterRows(std::span<const uint8_t> source, std::span<const int64_t> source_rows,
                 std::span<uint8_t> target) {
  if (source_rows.empty()) return;
  assert(source.size() % source_rows.size() == 0 && target.size() == source.size());
  const size_t bytes = source.size() / source_rows.size();
  for (size_t row = 0; row < source_rows.size(); ++row) {
    const auto to = static_cast<size_t>(source_rows[row]);
    std::copy_n(source.begin() + row * bytes, bytes, target.begin() + to * bytes);
  }
}

void FoldStats::Merge(const FoldStats& other) {
  scales += other.scales;
  inexact += other.inexact;
  saturated += other.saturated;
  vanished += other.vanished;
}

FoldStats FoldGlobalScale(std::span<const uint8_t> scales, float global_scale, float factor,
                          std::span<uint8_t> folded) {
  assert(folded.size() == scales.size());
  const float multiplier = global_scale * factor;
  std::array<uint8_t, 128> codes;
  std::array<FoldStats, 128> outcomes;
  for (size_t code = 0; code < codes.size(); ++code) {
    const float scale = kE4m3Values[code];
    codes[code] = FloatToE4m3(std::min(kE4m3Max, scale * multiplier));
    // 4 + 24 + 24 bits: exact in double.
    const double wanted = double{scale} * double{global_scale} * double{factor};
    outcomes[code].scales = 1;
    outcomes[code].inexact = E4m3ToFloat(codes[code]) != wanted;
    outcomes[code].saturated = wanted > kE4m3Max;
    outcomes[code].vanished = scale > 0.0f && codes[code] == 0;
  }
  FoldStats stats;
  for (size_t i = 0; i < scales.size(); ++i) {
    assert(scales[i] < 0x7F);
    folded[i] = codes[scales[i] & 0x7F];
    stats.Merge(outcomes[scales[i] & 0x7F]);
  }
  return stats;
}

}  // namespace vernier::quantizers

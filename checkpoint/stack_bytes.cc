// The bytes of parts of stacks: where they lie, and moving them out of slabs and back.
#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <type_traits>

#include "checkpoint/stacks.h"

namespace vernier::checkpoint {
namespace {

// Rows and lines that a transposition takes at once: so many that whole cache lines go in and out,
// by way of a buffer, because places a power of two apart share few places of a cache.
constexpr int64_t kTransposedAtOnce = 64;
constexpr uint64_t kLargestElement = 4;
using TransposedTile =
    std::array<std::byte, kTransposedAtOnce * kTransposedAtOnce * kLargestElement>;

// Some rows of a transposed part and some of its slab's lines.
struct TransposedPiece {
  int64_t row = 0, rows = 0;  // of those that are asked for
  int64_t line = 0, lines = 0;
};

// Calls move(piece) for all of `rows` rows.
template <typename Move>
void ForEachTransposed(const StackPart& part, int64_t rows, Move move) {
  for (int64_t row = 0; row < rows; row += kTransposedAtOnce) {
    for (int64_t line = 0; line < part.lines; line += kTransposedAtOnce) {
      move(TransposedPiece{row, std::min(kTransposedAtOnce, rows - row), line,
                           std::min(kTransposedAtOnce, part.lines - line)});
    }
  }
}

// Calls copy(place in the slab, place in the tile) for each element of a piece. `first`: the part's
// row that is asked for first.
template <typename Copy>
void ForEachElement(const StackPart& part, int64_t first, const TransposedPiece& piece, Copy copy) {
  const uint64_t element = part.element_bytes;
  const auto column = static_cast<uint64_t>(part.first + (first + piece.row) * part.stride);
  const uint64_t step = static_cast<uint64_t>(part.stride) * element;
  for (int64_t line = 0; line < piece.lines; ++line) {
    uint64_t in_slab =
        static_cast<uint64_t>(piece.line + line) * part.line_bytes + column * element;
    uint64_t in_tile = static_cast<uint64_t>(line) * element;
    for (int64_t row = 0; row < piece.rows; ++row) {
      copy(in_slab, in_tile);
      in_slab += step;
      in_tile += kTransposedAtOnce * element;
    }
  }
}

// Calls copy(place among the rows, place in the tile, bytes) for each row of a piece.
template <typename Copy>
void ForEachTileRow(const StackPart& part, const TransposedPiece& piece, Copy copy) {
  const uint64_t element = part.element_bytes;
  for (int64_t row = 0; row < piece.rows; ++row) {
    copy(static_cast<uint64_t>(piece.row + row) * part.row_bytes() +
             static_cast<uint64_t>(piece.line) * element,
         static_cast<uint64_t>(row) * kTransposedAtOnce * element,
         static_cast<uint64_t>(piece.lines) * element);
  }
}

// Calls use(copy), where copy(to, from) moves one element: of a size that the compiler knows.
template <typename Use>
void WithElement(uint64_t bytes, Use use) {
  const auto of = []<size_t size>(std::integral_constant<size_t, size>) {
    return [](std::byte* to, const std::byte* from) { std::memcpy(to, from, size); };
  };
  if (bytes == 1) return use(of(std::integral_constant<size_t, 1>()));
  if (bytes == 2) return use(of(std::integral_constant<size_t, 2>()));
  assert(bytes == 4);
  use(of(std::integral_constant<size_t, 4>()));
}

// Calls copy(place in the slab, place among the rows) for each row of a part that is not
// transposed.
template <typename Copy>
void ForEachRow(const StackPart& part, int64_t row, int64_t rows, Copy copy) {
  for (int64_t i = 0; i < rows; ++i) {
    copy(static_cast<uint64_t>(part.first + (row + i) * part.stride) * part.line_bytes,
         static_cast<uint64_t>(i) * part.line_bytes);
  }
}

}  // namespace

uint64_t StackPart::row_bytes() const {
  return transposed ? static_cast<uint64_t>(lines) * element_bytes : line_bytes;
}

StoredRange CoveringRange(const StackPart& part, uint64_t offset, uint64_t size) {
  if (part.contiguous()) {
    const uint64_t begin =
        part.slab_begin + static_cast<uint64_t>(part.first) * part.line_bytes + offset;
    return {begin, begin + size};
  }
  if (size == 0) return {part.slab_begin, part.slab_begin};
  if (part.transposed) return {part.slab_begin, part.slab_begin + part.slab_bytes()};
  const uint64_t row = offset / part.line_bytes, rows = size / part.line_bytes;
  const auto first = static_cast<uint64_t>(part.first), stride = static_cast<uint64_t>(part.stride);
  return {part.slab_begin + (first + row * stride) * part.line_bytes,
          part.slab_begin + (first + (row + rows - 1) * stride + 1) * part.line_bytes};
}

void GatherRows(const StackPart& part, uint64_t offset, std::span<const std::byte> covering,
                std::span<std::byte> out) {
  if (out.empty()) return;
  const auto row_bytes = part.row_bytes();
  assert(offset % row_bytes == 0 && out.size() % row_bytes == 0);
  const auto row = static_cast<int64_t>(offset / row_bytes);
  const auto rows = static_cast<int64_t>(out.size() / row_bytes);
  const std::byte* slab =
      covering.data() - (CoveringRange(part, offset, out.size()).begin - part.slab_begin);
  if (!part.transposed) {
    return ForEachRow(part, row, rows, [&](uint64_t in_slab, uint64_t at) {
      std::memcpy(out.data() + at, slab + in_slab, row_bytes);
    });
  }
  TransposedTile tile;
  WithElement(part.element_bytes, [&](auto copy) {
    ForEachTransposed(part, rows, [&](const TransposedPiece& piece) {
      ForEachElement(part, row, piece, [&](uint64_t in_slab, uint64_t in_tile) {
        copy(tile.data() + in_tile, slab + in_slab);
      });
      ForEachTileRow(part, piece, [&](uint64_t at, uint64_t in_tile, uint64_t bytes) {
        std::memcpy(out.data() + at, tile.data() + in_tile, bytes);
      });
    });
  });
}

void ScatterRows(const StackPart& part, std::span<const std::byte> rows,
                 std::span<std::byte> slab) {
  assert(slab.size() == part.slab_bytes());
  const auto count = static_cast<int64_t>(rows.size() / part.row_bytes());
  if (!part.transposed) {
    return ForEachRow(part, 0, count, [&](uint64_t in_slab, uint64_t at) {
      std::memcpy(slab.data() + in_slab, rows.data() + at, part.line_bytes);
    });
  }
  TransposedTile tile;
  WithElement(part.element_bytes, [&](auto copy) {
    ForEachTransposed(part, count, [&](const TransposedPiece& piece) {
      ForEachTileRow(part, piece, [&](uint64_t at, uint64_t in_tile, uint64_t bytes) {
        std::memcpy(tile.data() + in_tile, rows.data() + at, bytes);
      });
      ForEachElement(part, 0, piece, [&](uint64_t in_slab, uint64_t in_tile) {
        copy(slab.data() + in_slab, tile.data() + in_tile);
      });
    });
  });
}

StackPart Resized(StackPart part, int64_t columns, uint64_t row_bytes) {
  const uint64_t before = part.row_bytes();
  const auto scale = [&](uint64_t bytes) { return bytes * row_bytes / before; };
  part.slab_begin = scale(part.slab_begin);
  if (part.turns) {
    part.element_bytes = row_bytes / static_cast<uint64_t>(columns);
    part.line_bytes = static_cast<uint64_t>(part.lines) * part.element_bytes;
    part.lines = columns;
    part.transposed = true;
    part.turns = false;
    return part;
  }
  part.line_bytes = scale(part.line_bytes);
  part.element_bytes = scale(part.element_bytes);
  return part;
}

}  // namespace vernier::checkpoint

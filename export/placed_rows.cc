#include "export/placed_rows.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "quantizers/ggml_blocks.h"

namespace vernier::exporter {
namespace {

using checkpoint::Placement;
using checkpoint::RowBlocks;
using checkpoint::RowOrder;
using Bytes = std::span<const uint8_t>;

// Integers as they are in I64 and as they are in I32: expert numbers.
constexpr size_t kWide = 8, kNarrow = 4;

uint64_t BlockBytes(RowBlocks blocks, Bytes codes, Bytes scales) {
  switch (blocks) {
    case RowBlocks::kCodes:
      return codes.size();
    case RowBlocks::kI32:
      return codes.size() / kWide * kNarrow;
    case RowBlocks::kQ8Zero:
    case RowBlocks::kMxfp4:
    case RowBlocks::kNvfp4:
      return codes.size() + scales.size();
  }
  return 0;
}

// Little-endian: the lower half.
void Narrow(Bytes codes, std::span<uint8_t> out) {
  for (size_t i = 0; i < out.size() / kNarrow; ++i) {
    std::memcpy(&out[i * kNarrow], &codes[i * kWide], kNarrow);
  }
}

void Pack(RowBlocks blocks, Bytes codes, Bytes scales, std::span<uint8_t> out) {
  switch (blocks) {
    case RowBlocks::kCodes:
      return static_cast<void>(std::ranges::copy(codes, out.begin()));
    case RowBlocks::kI32:
      return Narrow(codes, out);
    case RowBlocks::kQ8Zero:
      return quantizers::PackGgmlQ8Zero(codes, scales, out);
    case RowBlocks::kMxfp4:
      return quantizers::PackGgmlMxfp4(codes, scales, out);
    case RowBlocks::kNvfp4:
      return quantizers::PackGgmlNvfp4(codes, scales, out);
  }
}

PooledBuffer Packed(RowBlocks blocks, Bytes codes, Bytes scales, BufferPool& pool) {
  PooledBuffer packed = pool.Take(BlockBytes(blocks, codes, scales));
  Pack(blocks, codes, scales, packed.codes());
  return packed;
}

// What is moved: whole rows of `bytes` bytes, of heads of `rows` rows.
struct Heads {
  size_t count = 0, rows = 0, bytes = 0;

  size_t HeadBytes() const { return rows * bytes; }
};

void PairRows(const Heads& heads, Bytes from, std::span<uint8_t> to) {
  const size_t half = heads.rows / 2;
  for (size_t head = 0; head < heads.count; ++head) {
    const uint8_t* in = &from[head * heads.HeadBytes()];
    uint8_t* out = &to[head * heads.HeadBytes()];
    for (size_t i = 0; i < half; ++i) {
      std::memcpy(out + 2 * i * heads.bytes, in + i * heads.bytes, heads.bytes);
      std::memcpy(out + (2 * i + 1) * heads.bytes, in + (half + i) * heads.bytes, heads.bytes);
    }
  }
}

// [rows, columns] elements of `size` bytes to [columns, rows].
void Transpose(const uint8_t* from, size_t rows, size_t columns, size_t size, uint8_t* to) {
  for (size_t column = 0; column < columns; ++column) {
    for (size_t row = 0; row < rows; ++row) {
      std::memcpy(to + (column * rows + row) * size, from + (row * columns + column) * size, size);
    }
  }
}

std::vector<PlacedBytes> SplitRows(const Heads& heads, size_t first_rows, size_t columns,
                                   uint64_t first_head, Bytes from, BufferPool& pool) {
  const size_t first = first_rows * heads.bytes, second = heads.HeadBytes() - first;
  std::vector<PlacedBytes> placed;
  placed.push_back({0, first_head * first, pool.Take(heads.count * first)});
  placed.push_back({1, first_head * second, pool.Take(heads.count * second)});
  for (size_t head = 0; head < heads.count; ++head) {
    const uint8_t* in = &from[head * heads.HeadBytes()];
    Transpose(in, first_rows, columns, heads.bytes / columns,
              &placed[0].bytes.codes()[head * first]);
    std::memcpy(&placed[1].bytes.codes()[head * second], in + first, second);
  }
  return placed;
}

}  // namespace

std::vector<PlacedBytes> PlaceRows(const Placement& placement, const WeightRows& rows,
                                   int64_t columns, Bytes codes, Bytes scales, BufferPool& pool) {
  PooledBuffer packed = Packed(placement.blocks, codes, scales, pool);
  const auto count = static_cast<size_t>(rows.row_count);
  const Heads heads = {.count = count / static_cast<size_t>(placement.head_rows),
                       .rows = static_cast<size_t>(placement.head_rows),
                       .bytes = packed.size() / std::max<size_t>(1, count)};
  const auto begin = static_cast<uint64_t>(rows.row_begin);
  if (placement.order == RowOrder::kSplit) {
    return SplitRows(heads, static_cast<size_t>(placement.first_rows), static_cast<size_t>(columns),
                     begin / heads.rows, packed.codes(), pool);
  }
  if (placement.order == RowOrder::kPairs) {
    assert(heads.count * heads.rows == count && heads.rows % 2 == 0);
    PooledBuffer paired = pool.Take(packed.size());
    PairRows(heads, packed.codes(), paired.codes());
    packed = std::move(paired);
  }
  std::vector<PlacedBytes> placed;
  placed.push_back({0, begin * heads.bytes, std::move(packed)});
  return placed;
}

}  // namespace vernier::exporter

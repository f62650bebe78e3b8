#include "checkpoint/weight_reader.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"
#include "quantizers/float_formats.h"
#include "quantizers/fp8_block.h"
#include "quantizers/mxfp4.h"
#include "quantizers/nvfp4.h"

namespace vernier::checkpoint {
namespace {

// F32 bytes decoded at once: large enough for a disk, small enough for a cache.
constexpr int64_t kChunkBytes = int64_t{1} << 20;

[[noreturn]] void FailValue(const Checkpoint& checkpoint, size_t tensor, int64_t index,
                            std::string_view what) {
  throw Error(ErrorCode::kBadWeightValue, checkpoint.tensor(tensor).info.name,
              "element " + std::to_string(index) + " is " + std::string(what),
              "Download the checkpoint again, or ask its publisher");
}

template <typename T>
std::vector<T> ReadElements(const Checkpoint& checkpoint, size_t tensor, int64_t first,
                            int64_t count) {
  std::vector<T> elements(static_cast<size_t>(count));
  checkpoint.Read(tensor, static_cast<uint64_t>(first) * sizeof(T),
                  std::as_writable_bytes(std::span(elements)));
  return elements;
}

bool IsE4m3Nan(uint8_t code) { return (code & 0x7F) == 0x7F; }
bool IsE8m0Nan(uint8_t code) { return code == 0xFF; }

// `first` is the index in the tensor of codes[0].
template <typename IsNan>
void RefuseNanCodes(const Checkpoint& checkpoint, size_t tensor, std::span<const uint8_t> codes,
                    int64_t first, IsNan is_nan) {
  const auto it = std::find_if(codes.begin(), codes.end(), is_nan);
  if (it != codes.end()) FailValue(checkpoint, tensor, first + (it - codes.begin()), "NaN");
}

void RefuseNonFinite(const Checkpoint& checkpoint, size_t tensor, std::span<const float> values,
                     int64_t first) {
  constexpr uint32_t kExponent = 0x7F800000;
  uint32_t any = 0;
  for (const float value : values) {
    any |= (std::bit_cast<uint32_t>(value) & kExponent) == kExponent ? 1U : 0U;
  }
  if (any == 0) return;
  const auto it =
      std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  FailValue(checkpoint, tensor, first + (it - values.begin()),
            std::isnan(*it) ? "NaN" : "infinite");
}

// A part of a weight small enough to be decoded at once: whole rows of a quantised matrix, or
// elements of a plain tensor, which are rows of one column here.
struct Chunk {
  int64_t row = 0;
  int64_t rows = 0;
  int64_t columns = 0;

  int64_t first() const { return row * columns; }
  int64_t elements() const { return rows * columns; }
};

void DecodePlain(const Checkpoint& checkpoint, const LogicalWeight& weight, const Chunk& chunk,
                 std::span<float> out) {
  const size_t main = weight.main;
  switch (checkpoint.tensor(main).info.dtype) {
    case DType::kF32:
      checkpoint.Read(main, static_cast<uint64_t>(chunk.first()) * sizeof(float),
                      std::as_writable_bytes(out));
      return;
    case DType::kBF16: {
      const auto bits = ReadElements<uint16_t>(checkpoint, main, chunk.first(), chunk.elements());
      std::transform(bits.begin(), bits.end(), out.begin(), quantizers::Bf16ToFloat);
      return;
    }
    default: {
      assert(checkpoint.tensor(main).info.dtype == DType::kF16);
      const auto bits = ReadElements<uint16_t>(checkpoint, main, chunk.first(), chunk.elements());
      std::transform(bits.begin(), bits.end(), out.begin(), quantizers::F16ToFloat);
    }
  }
}

// Scales of the block rows that `chunk` touches, as F32.
std::vector<float> ReadFp8Scales(const Checkpoint& checkpoint, size_t tensor, int64_t first,
                                 int64_t count) {
  if (checkpoint.tensor(tensor).info.dtype == DType::kF32) {
    auto scales = ReadElements<float>(checkpoint, tensor, first, count);
    RefuseNonFinite(checkpoint, tensor, scales, first);
    return scales;
  }
  const auto codes = ReadElements<uint8_t>(checkpoint, tensor, first, count);
  RefuseNanCodes(checkpoint, tensor, codes, first, IsE8m0Nan);
  std::vector<float> scales(codes.size());
  std::transform(codes.begin(), codes.end(), scales.begin(), quantizers::E8m0ToFloat);
  return scales;
}

void DecodeFp8(const Checkpoint& checkpoint, const LogicalWeight& weight, const Chunk& chunk,
               std::span<float> out) {
  const int64_t block_columns = (chunk.columns + weight.block_columns - 1) / weight.block_columns;
  const int64_t first_block_row = chunk.row / weight.block_rows;
  const int64_t last_block_row = (chunk.row + chunk.rows - 1) / weight.block_rows;
  const std::vector<float> scales =
      ReadFp8Scales(checkpoint, weight.scale, first_block_row * block_columns,
                    (last_block_row - first_block_row + 1) * block_columns);
  std::vector<float> row_scales(static_cast<size_t>(chunk.rows * block_columns));
  for (int64_t i = 0; i < chunk.rows; ++i) {
    const int64_t block_row = (chunk.row + i) / weight.block_rows - first_block_row;
    std::copy_n(scales.begin() + block_row * block_columns, block_columns,
                row_scales.begin() + i * block_columns);
  }
  const auto codes =
      ReadElements<uint8_t>(checkpoint, weight.main, chunk.first(), chunk.elements());
  RefuseNanCodes(checkpoint, weight.main, codes, chunk.first(), IsE4m3Nan);
  quantizers::DequantizeFp8Rows(codes, chunk.columns, weight.block_columns, row_scales, out);
}

void DecodeMxfp4(const Checkpoint& checkpoint, const LogicalWeight& weight, const Chunk& chunk,
                 std::span<float> out) {
  const int64_t first_scale = chunk.first() / quantizers::kMxfp4BlockSize;
  const auto packed =
      ReadElements<uint8_t>(checkpoint, weight.main, chunk.first() / 2, chunk.elements() / 2);
  const auto scales = ReadElements<uint8_t>(checkpoint, weight.scale, first_scale,
                                            chunk.elements() / quantizers::kMxfp4BlockSize);
  RefuseNanCodes(checkpoint, weight.scale, scales, first_scale, IsE8m0Nan);
  quantizers::DequantizeMxfp4(packed, scales, chunk.columns, out);
}

void DecodeNvfp4(const Checkpoint& checkpoint, const LogicalWeight& weight, const Chunk& chunk,
                 std::span<float> out) {
  const int64_t first_scale = chunk.first() / quantizers::kNvfp4BlockSize;
  const auto packed =
      ReadElements<uint8_t>(checkpoint, weight.main, chunk.first() / 2, chunk.elements() / 2);
  const auto scales = ReadElements<uint8_t>(checkpoint, weight.scale, first_scale,
                                            chunk.elements() / quantizers::kNvfp4BlockSize);
  RefuseNanCodes(checkpoint, weight.scale, scales, first_scale, IsE4m3Nan);
  const auto global_scale = ReadElements<float>(checkpoint, weight.global_scale, 0, 1);
  RefuseNonFinite(checkpoint, weight.global_scale, global_scale, 0);
  quantizers::DequantizeNvfp4(packed, scales, chunk.columns, global_scale[0], out);
}

void Decode(const Checkpoint& checkpoint, const LogicalWeight& weight, const Chunk& chunk,
            std::span<float> out) {
  switch (weight.format) {
    case WeightFormat::kPlain:
      DecodePlain(checkpoint, weight, chunk, out);
      break;
    case WeightFormat::kFp8Block:
      DecodeFp8(checkpoint, weight, chunk, out);
      break;
    case WeightFormat::kMxfp4:
      DecodeMxfp4(checkpoint, weight, chunk, out);
      break;
    case WeightFormat::kNvfp4:
      DecodeNvfp4(checkpoint, weight, chunk, out);
      break;
    case WeightFormat::kInteger:
    case WeightFormat::kOpaque:
      throw Error(
          ErrorCode::kWrongDtype, weight.name,
          "holds " + checkpoint.tensor(weight.main).info.dtype_name + " values that are no weights",
          "Copy this tensor instead of converting it");
  }
  // Finite codes and scales can still overflow, and plain tensors have been checked nowhere else.
  RefuseNonFinite(checkpoint, weight.main, out, chunk.first());
}

// Calls visit(chunk, offset of its first element in the whole result) for consecutive chunks.
template <typename Visit>
void ForEachChunk(const LogicalWeight& weight, int64_t row_begin, int64_t row_count, Visit visit) {
  int64_t columns = 1;
  for (size_t i = 1; i < weight.shape.size(); ++i) columns *= weight.shape[i];
  Chunk range{row_begin, row_count, columns};
  if (range.elements() == 0) return;
  if (weight.format == WeightFormat::kPlain) {
    range = {row_begin * columns, row_count * columns, 1};
  }
  const int64_t step =
      std::max<int64_t>(1, kChunkBytes / static_cast<int64_t>(sizeof(float)) / range.columns);
  for (int64_t done = 0; done < range.rows; done += step) {
    const Chunk chunk{range.row + done, std::min(step, range.rows - done), range.columns};
    visit(chunk, static_cast<size_t>(done * range.columns));
  }
}

}  // namespace

void WeightReader::ReadF32(const LogicalWeight& weight, int64_t row_begin, int64_t row_count,
                           std::span<float> out) const {
  assert(row_begin >= 0 && row_count >= 0 && row_begin + row_count <= weight.rows());
  ForEachChunk(weight, row_begin, row_count, [&](const Chunk& chunk, size_t offset) {
    Decode(*checkpoint_, weight, chunk, out.subspan(offset, static_cast<size_t>(chunk.elements())));
  });
}

void WeightReader::ReadBf16(const LogicalWeight& weight, int64_t row_begin, int64_t row_count,
                            std::span<uint16_t> out) const {
  assert(row_begin >= 0 && row_count >= 0 && row_begin + row_count <= weight.rows());
  std::vector<float> values;
  ForEachChunk(weight, row_begin, row_count, [&](const Chunk& chunk, size_t offset) {
    values.resize(static_cast<size_t>(chunk.elements()));
    Decode(*checkpoint_, weight, chunk, values);
    std::transform(values.begin(), values.end(), out.begin() + static_cast<ptrdiff_t>(offset),
                   quantizers::FloatToBf16);
  });
}

}  // namespace vernier::checkpoint

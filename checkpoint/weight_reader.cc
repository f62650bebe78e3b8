#include "checkpoint/weight_reader.h"

#include <algorithm>
#include <cassert>
#include <vector>

#include "checkpoint/weight_decoder.h"

namespace vernier::checkpoint {
namespace {

// Bytes read at once: large enough for a disk, small enough for a cache.
constexpr int64_t kChunkBytes = int64_t{1} << 20;

// A plain weight as rows of one element, so that chunks need not be whole rows.
LogicalWeight Flatten(const LogicalWeight& weight) {
  LogicalWeight flat = weight;
  flat.shape = {weight.rows() * ColumnsPerRow(weight)};
  return flat;
}

void ReadRange(const Checkpoint& checkpoint, size_t tensor, const ByteRange& range,
               std::vector<std::byte>* bytes) {
  bytes->resize(range.size());
  if (!bytes->empty()) checkpoint.Read(tensor, range.begin, *bytes);
}

template <typename T>
void ReadRows(const Checkpoint& checkpoint, const LogicalWeight& weight, int64_t row_begin,
              int64_t row_count, std::span<T> out) {
  const int64_t columns = ColumnsPerRow(weight);
  if (row_count * columns == 0) return;
  const auto row_bytes = static_cast<int64_t>(MainRange(checkpoint, weight, 0, 1).size());
  const int64_t step = std::max<int64_t>(1, kChunkBytes / std::max<int64_t>(1, row_bytes));
  const float global_scale = ReadGlobalScale(checkpoint, weight);
  std::vector<std::byte> main;
  std::vector<std::byte> scale;
  for (int64_t done = 0; done < row_count; done += step) {
    const int64_t row = row_begin + done;
    const int64_t rows = std::min(step, row_count - done);
    ReadRange(checkpoint, weight.main, MainRange(checkpoint, weight, row, rows), &main);
    ReadRange(checkpoint, weight.scale, ScaleRange(checkpoint, weight, row, rows), &scale);
    DecodeRows(
        checkpoint, weight, {row, rows, main, scale, global_scale},
        out.subspan(static_cast<size_t>(done * columns), static_cast<size_t>(rows * columns)));
  }
}

template <typename T>
void ReadTo(const Checkpoint& checkpoint, const LogicalWeight& weight, int64_t row_begin,
            int64_t row_count, std::span<T> out) {
  assert(row_begin >= 0 && row_count >= 0 && row_begin + row_count <= weight.rows());
  if (weight.format != WeightFormat::kPlain) {
    return ReadRows(checkpoint, weight, row_begin, row_count, out);
  }
  const int64_t columns = ColumnsPerRow(weight);
  ReadRows(checkpoint, Flatten(weight), row_begin * columns, row_count * columns, out);
}

}  // namespace

void WeightReader::ReadF32(const LogicalWeight& weight, int64_t row_begin, int64_t row_count,
                           std::span<float> out) const {
  ReadTo(*checkpoint_, weight, row_begin, row_count, out);
}

void WeightReader::ReadBf16(const LogicalWeight& weight, int64_t row_begin, int64_t row_count,
                            std::span<uint16_t> out) const {
  ReadTo(*checkpoint_, weight, row_begin, row_count, out);
}

}  // namespace vernier::checkpoint

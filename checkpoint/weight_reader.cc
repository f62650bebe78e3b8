#include "checkpoint/weight_reader.h"

#include <algorithm>
#include <cassert>
#include <vector>

#include "checkpoint/clamped_rows.h"
#include "checkpoint/tensor_digests.h"
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

// What rows are read without is read anew for its digest: a number, or a hundredth of the weight.
void AddSmallParts(const LogicalWeight& weight, TensorDigests& digests) {
  for (const size_t part : weight.whole_parts()) {
    if (part != Checkpoint::kNotFound) digests.AddWhole(part);
  }
}

template <typename T>
void ReadRows(const Checkpoint& checkpoint, const ReadOptions& options, const LogicalWeight& weight,
              int64_t row_begin, int64_t row_count, std::span<T> out) {
  const int64_t columns = ColumnsPerRow(weight);
  if (row_count * columns == 0) return;
  const auto row_bytes = static_cast<int64_t>(MainRange(checkpoint, weight, 0, 1).size());
  const StackPart* part = checkpoint.PartOf(weight.main);
  const bool at_once = part != nullptr && part->transposed;  // each row needs the whole slab
  const int64_t step =
      at_once ? row_count : std::max<int64_t>(1, kChunkBytes / std::max<int64_t>(1, row_bytes));
  const float global_scale = ReadGlobalScale(checkpoint, weight);
  const bool whole = row_count == weight.rows();
  TensorDigests digests(checkpoint, whole ? options.observer : nullptr);
  AddSmallParts(weight, digests);
  ClampedTally clamped;
  std::vector<std::byte> main;
  std::vector<std::byte> scale;
  for (int64_t done = 0; done < row_count; done += step) {
    const int64_t row = row_begin + done;
    const int64_t rows = std::min(step, row_count - done);
    const ByteRange main_range = MainRange(checkpoint, weight, row, rows);
    const ByteRange scale_range = ScaleRange(checkpoint, weight, row, rows);
    ReadRange(checkpoint, weight.main, main_range, &main);
    ReadRange(checkpoint, weight.scale, scale_range, &scale);
    digests.Add(weight.main, main_range.begin, main);
    digests.Add(weight.scale, scale_range.begin, scale);
    const RawRows raw = {row, rows, main, scale, global_scale};
    const std::span<T> out_rows =
        out.subspan(static_cast<size_t>(done * columns), static_cast<size_t>(rows * columns));
    if (!options.clamp) {
      DecodeRows(checkpoint, weight, raw, out_rows);
      continue;
    }
    const ClampedRows finite(checkpoint, weight, raw);
    DecodeRows(checkpoint, weight, finite.rows(), out_rows);
    clamped.Add(finite.clamped());
  }
  clamped.Report(options.observer);
}

template <typename T>
void ReadTo(const Checkpoint& checkpoint, const ReadOptions& options, const LogicalWeight& weight,
            int64_t row_begin, int64_t row_count, std::span<T> out) {
  assert(row_begin >= 0 && row_count >= 0 && row_begin + row_count <= weight.rows());
  const StackPart* part = checkpoint.PartOf(weight.main);
  const bool by_rows = part != nullptr && !part->contiguous();
  if (weight.format != formats::kPlain || by_rows) {
    return ReadRows(checkpoint, options, weight, row_begin, row_count, out);
  }
  const int64_t columns = ColumnsPerRow(weight);
  ReadRows(checkpoint, options, Flatten(weight), row_begin * columns, row_count * columns, out);
}

}  // namespace

void WeightReader::ReadF32(const LogicalWeight& weight, int64_t row_begin, int64_t row_count,
                           std::span<float> out) const {
  ReadTo(*checkpoint_, options_, weight, row_begin, row_count, out);
}

void WeightReader::ReadBf16(const LogicalWeight& weight, int64_t row_begin, int64_t row_count,
                            std::span<uint16_t> out) const {
  ReadTo(*checkpoint_, options_, weight, row_begin, row_count, out);
}

}  // namespace vernier::checkpoint

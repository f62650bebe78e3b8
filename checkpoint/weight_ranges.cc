// Which bytes rows of a weight need, and its global scale.
#include <cmath>

#include "base/rounding.h"
#include "checkpoint/formats/codec.h"
#include "checkpoint/row_ranges.h"
#include "checkpoint/value_checks.h"
#include "checkpoint/weight_decoder.h"

namespace vernier::checkpoint {
namespace {

// Of `units` equal parts of a tensor, the bytes of parts [begin, end).
ByteRange PartsRange(const TensorInfo& info, int64_t units, int64_t begin, int64_t end) {
  if (units == 0 || begin == end) return {};
  const uint64_t bytes = info.Bytes() / static_cast<uint64_t>(units);
  return {static_cast<uint64_t>(begin) * bytes, static_cast<uint64_t>(end) * bytes};
}

FileRange InFiles(const Checkpoint& checkpoint, size_t tensor, ByteRange range, size_t first_file) {
  if (range.begin == range.end) return {};
  const StoredRange in_file = checkpoint.FileRangeOf(tensor, range.begin, range.end);
  return {first_file + checkpoint.tensor(tensor).shard, in_file.begin, in_file.end};
}

}  // namespace

int64_t ColumnsPerRow(const LogicalWeight& weight) {
  int64_t columns = 1;
  for (size_t i = 1; i < weight.shape.size(); ++i) columns *= weight.shape[i];
  return columns;
}

ByteRange MainRange(const Checkpoint& checkpoint, const LogicalWeight& weight, int64_t row_begin,
                    int64_t row_count) {
  if (row_count == 0) return {};
  const int64_t unit = weight.format->rows_per_unit;
  return PartsRange(checkpoint.tensor(weight.main).info, weight.rows() / unit, row_begin / unit,
                    CeilDivide(row_begin + row_count, unit));
}

ByteRange ScaleRange(const Checkpoint& checkpoint, const LogicalWeight& weight, int64_t row_begin,
                     int64_t row_count) {
  if (weight.scale == Checkpoint::kNotFound || row_count == 0) return {};
  return PartsRange(checkpoint.tensor(weight.scale).info,
                    CeilDivide(weight.rows(), weight.block_rows), row_begin / weight.block_rows,
                    CeilDivide(row_begin + row_count, weight.block_rows));
}

std::array<FileRange, 2> RowRanges(const Checkpoint& checkpoint, const LogicalWeight& weight,
                                   int64_t row_begin, int64_t row_count, size_t first_file) {
  const ByteRange main = MainRange(checkpoint, weight, row_begin, row_count);
  const ByteRange scale = ScaleRange(checkpoint, weight, row_begin, row_count);
  return {InFiles(checkpoint, weight.main, main, first_file),
          InFiles(checkpoint, weight.scale, scale, first_file)};
}

RawRows SubRows(const Checkpoint& checkpoint, const LogicalWeight& weight, const RawRows& rows,
                int64_t row_begin, int64_t row_count) {
  const auto part = [](std::span<const std::byte> bytes, ByteRange all, ByteRange some) {
    return bytes.subspan(some.begin - all.begin, some.size());
  };
  return {.row_begin = row_begin,
          .row_count = row_count,
          .main = part(rows.main, MainRange(checkpoint, weight, rows.row_begin, rows.row_count),
                       MainRange(checkpoint, weight, row_begin, row_count)),
          .scale = part(rows.scale, ScaleRange(checkpoint, weight, rows.row_begin, rows.row_count),
                        ScaleRange(checkpoint, weight, row_begin, row_count)),
          .global_scale = rows.global_scale};
}

namespace {

// `scale`: an F32 tensor of one element, or none.
float ReadMultiplier(const Checkpoint& checkpoint, size_t scale, bool is_divisor) {
  if (scale == Checkpoint::kNotFound) return 1.0f;
  float value = 0;
  checkpoint.Read(scale, 0, std::as_writable_bytes(std::span(&value, 1)));
  RefuseNonFinite(checkpoint, scale, 0, std::span<const float>(&value, 1));
  if (value == 0) FailValue(checkpoint, scale, 0, "zero");
  if (!is_divisor) return value;
  const float multiplier = 1.0f / value;
  if (!std::isfinite(multiplier)) FailValue(checkpoint, scale, 0, "too small to divide by");
  return multiplier;
}

}  // namespace

float ReadGlobalScale(const Checkpoint& checkpoint, const LogicalWeight& weight) {
  return ReadMultiplier(checkpoint, weight.global_scale, weight.global_scale_is_divisor);
}

float ReadInputScale(const Checkpoint& checkpoint, const LogicalWeight& weight) {
  assert(weight.input_scale == Checkpoint::kNotFound ||
         checkpoint.tensor(weight.input_scale).info.dtype == DType::kF32);
  return ReadMultiplier(checkpoint, weight.input_scale, weight.global_scale_is_divisor);
}

bool ExactInBf16(const Checkpoint& checkpoint, const LogicalWeight& weight) {
  const auto exact = weight.format->exact_in_bf16;
  return exact != nullptr && exact(checkpoint, weight);
}

}  // namespace vernier::checkpoint

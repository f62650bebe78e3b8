#include "export/row_bytes.h"

#include <cassert>

#include "checkpoint/row_ranges.h"
#include "checkpoint/scattered_bytes.h"

namespace vernier::exporter {

using checkpoint::ByteRange;
using checkpoint::Checkpoint;
using checkpoint::LogicalWeight;
using checkpoint::SourceModel;
using checkpoint::StackPart;

void AddReads(const SourceModel& source, const WeightRows& rows, ReadAhead::Job& reads) {
  const auto ranges = RowRanges(source.checkpoint, source.layout.weights[rows.weight],
                                rows.row_begin, rows.row_count);
  reads.insert(reads.end(), ranges.begin(), ranges.end());
}

int64_t RowsReadTogether(const SourceModel& source, size_t weight) {
  const LogicalWeight& whole = source.layout.weights[weight];
  const StackPart* part = source.checkpoint.PartOf(whole.main);
  return part != nullptr && part->transposed ? whole.rows() : 1;
}

uint64_t MemoryOfRows(const SourceModel& source, const WeightRows& rows) {
  const LogicalWeight& weight = source.layout.weights[rows.weight];
  uint64_t bytes = 0;
  for (const FileRange& range :
       RowRanges(source.checkpoint, weight, rows.row_begin, rows.row_count)) {
    bytes += range.end - range.begin;
  }
  if (!LiesScattered(source.checkpoint, weight.main)) return bytes;
  return bytes + MainRange(source.checkpoint, weight, rows.row_begin, rows.row_count).size() +
         ScaleRange(source.checkpoint, weight, rows.row_begin, rows.row_count).size();
}

RowBytes::RowBytes(const SourceModel& source, const WeightRows& rows,
                   std::span<const ReadBlock> blocks) {
  assert(blocks.size() == kRangesOfRows);
  const Checkpoint& checkpoint = source.checkpoint;
  const LogicalWeight& weight = source.layout.weights[rows.weight];
  const std::array tensors = {weight.main, weight.scale};
  const std::array wanted = {MainRange(checkpoint, weight, rows.row_begin, rows.row_count),
                             ScaleRange(checkpoint, weight, rows.row_begin, rows.row_count)};
  const auto read = RowRanges(checkpoint, weight, rows.row_begin, rows.row_count);
  for (size_t i = 0; i < kRangesOfRows; ++i) {
    if (blocks[i].bytes().empty()) continue;
    views_[i] = ExtractBytes(checkpoint, tensors[i], wanted[i], {read[i].begin, blocks[i].bytes()},
                             gathered_[i]);
  }
}

checkpoint::RawRows RowBytes::Raw(const SourceModel& source, const WeightRows& rows) const {
  return {.row_begin = rows.row_begin,
          .row_count = rows.row_count,
          .main = main(),
          .scale = scale(),
          .global_scale = ReadGlobalScale(source.checkpoint, source.layout.weights[rows.weight])};
}

void RowBytes::AddTo(const SourceModel& source, const WeightRows& rows,
                     checkpoint::TensorDigests& digests) const {
  const LogicalWeight& weight = source.layout.weights[rows.weight];
  const auto of_main = MainRange(source.checkpoint, weight, rows.row_begin, rows.row_count);
  const auto of_scale = ScaleRange(source.checkpoint, weight, rows.row_begin, rows.row_count);
  digests.Add(weight.main, of_main.begin, main());
  digests.Add(weight.scale, of_scale.begin, scale());
  if (rows.row_begin > 0) return;
  for (const size_t part : weight.whole_parts()) {
    if (part != Checkpoint::kNotFound) digests.AddWhole(part);
  }
}

}  // namespace vernier::exporter

#include "audit/row_reads.h"

#include <algorithm>

#include "checkpoint/row_ranges.h"
#include "checkpoint/scattered_bytes.h"

namespace vernier::audit {
namespace {

using checkpoint::ByteRange;
using checkpoint::Checkpoint;
using checkpoint::LogicalWeight;

size_t TensorOf(const LogicalWeight& weight, size_t kind) {
  return kind == 0 ? weight.main : weight.scale;
}

}  // namespace

std::optional<Slab> SlabOf(const Checkpoint& checkpoint, size_t tensor) {
  if (!LiesScattered(checkpoint, tensor)) return std::nullopt;
  const checkpoint::StackPart& part = *checkpoint.PartOf(tensor);
  return Slab{part.stored, part.slab_begin};
}

RowReads::RowReads(const Checkpoint& checkpoint, std::vector<const LogicalWeight*> weights,
                   int64_t row, int64_t rows, size_t first_file)
    : checkpoint_(checkpoint), weights_(std::move(weights)) {
  for (const LogicalWeight* weight : weights_) {
    for (const FileRange& range : RowRanges(checkpoint_, *weight, row, rows, first_file)) {
      read_with_.push_back(ranges_.size());
      ranges_.push_back(range);
    }
  }
  for (size_t i = kTensors; i < ranges_.size(); ++i) {
    const size_t kind = i % kTensors;
    const auto slab = SlabOf(checkpoint_, TensorOf(*weights_[i / kTensors], kind));
    FileRange& first = ranges_[kind];
    if (!slab || slab != SlabOf(checkpoint_, TensorOf(*weights_[0], kind))) continue;
    read_with_[i] = kind;
    first.begin = std::min(first.begin, ranges_[i].begin);
    first.end = std::max(first.end, ranges_[i].end);
    ranges_[i] = {};
  }
}

checkpoint::RawRows RowReads::Take(size_t weight, int64_t row, int64_t rows,
                                   std::span<const ReadBlock> blocks, Gathered& gathered) const {
  const LogicalWeight& whole = *weights_[weight];
  return {
      .row_begin = row,
      .row_count = rows,
      .main = TakeBytes(weight, 0, MainRange(checkpoint_, whole, row, rows), blocks, gathered[0]),
      .scale =
          TakeBytes(weight, 1, ScaleRange(checkpoint_, whole, row, rows), blocks, gathered[1])};
}

std::span<const std::byte> RowReads::TakeBytes(size_t weight, size_t kind, ByteRange wanted,
                                               std::span<const ReadBlock> blocks,
                                               std::vector<std::byte>& gathered) const {
  const size_t range = read_with_[weight * kTensors + kind];
  if (blocks[range].bytes().empty()) return {};
  return ExtractBytes(checkpoint_, TensorOf(*weights_[weight], kind), wanted,
                      {ranges_[range].begin, blocks[range].bytes()}, gathered);
}

}  // namespace vernier::audit

#include "audit/batched_reads.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "base/interrupt.h"
#include "base/read_ahead.h"

namespace vernier::audit {
namespace {

using checkpoint::Checkpoint;

// What lies between two pieces is read with them up to here: a disk moves so much in the time that
// another request costs.
constexpr uint64_t kGapBytes = 32 << 10;
constexpr uint64_t kBatchBytes = 2 << 20;
constexpr uint64_t kWindowBytes = 32 << 20;

// Consecutive pieces that are read at once.
struct Batch {
  FileRange range;
  size_t first = 0;
  size_t count = 0;
};

FileRange RangeOf(const Checkpoint& checkpoint, const TensorPiece& piece) {
  const checkpoint::TensorLocation& location = checkpoint.tensor(piece.tensor);
  return {location.shard, location.info.begin + piece.begin, location.info.begin + piece.end};
}

std::vector<Batch> MakeBatches(const Checkpoint& checkpoint,
                               const std::vector<TensorPiece>& pieces) {
  std::vector<Batch> batches;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const FileRange range = RangeOf(checkpoint, pieces[i]);
    if (!batches.empty()) {
      Batch& last = batches.back();
      const bool joins = range.file == last.range.file &&
                         range.begin <= last.range.end + kGapBytes &&
                         range.end <= last.range.begin + kBatchBytes;
      if (joins) {
        last.range.end = std::max(last.range.end, range.end);
        ++last.count;
        continue;
      }
    }
    batches.push_back({range, i, 1});
  }
  return batches;
}

}  // namespace

void ForEachPiece(const Checkpoint& checkpoint, std::vector<TensorPiece> pieces,
                  const VisitPiece& visit) {
  std::sort(pieces.begin(), pieces.end(), [&](const TensorPiece& a, const TensorPiece& b) {
    const FileRange x = RangeOf(checkpoint, a), y = RangeOf(checkpoint, b);
    return std::tie(x.file, x.begin, x.end) < std::tie(y.file, y.begin, y.end);
  });
  const std::vector<Batch> batches = MakeBatches(checkpoint, pieces);
  ReadAhead reader(
      checkpoint.ShardPaths(),
      [it = batches.begin(), end = batches.end()]() mutable -> std::optional<ReadAhead::Job> {
        if (it == end) return std::nullopt;
        return ReadAhead::Job{(it++)->range};
      },
      kWindowBytes, BufferPool::Make(kWindowBytes), IoOptionsFromEnvironment());
  for (const Batch& batch : batches) {
    ThrowIfInterrupted();
    const std::vector<ReadBlock> blocks = reader.Next().value();
    for (size_t i = batch.first; i < batch.first + batch.count; ++i) {
      const FileRange range = RangeOf(checkpoint, pieces[i]);
      visit(pieces[i], blocks.front().bytes().subspan(range.begin - batch.range.begin,
                                                      range.end - range.begin));
    }
  }
}

}  // namespace vernier::audit

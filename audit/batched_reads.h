// Many small pieces of a checkpoint's tensors, read in the order of its files.
#ifndef VERNIER_AUDIT_BATCHED_READS_H_
#define VERNIER_AUDIT_BATCHED_READS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace vernier::audit {

// Bytes [begin, end) of a tensor.
struct TensorPiece {
  size_t tensor = 0;
  uint64_t begin = 0;
  uint64_t end = 0;
};

using VisitPiece = std::function<void(const TensorPiece&, std::span<const std::byte>)>;

// Calls visit for each of `pieces`, one call at a time, in the order of shards and places in them.
// Neighbours are read together with what lies between them if that is little, and many reads are
// under way at once, ahead of `visit`. Memory: a window of some 10 MiB. Errors: kFileOpen,
// kFileRead, and kInterrupted between two batches.
void ForEachPiece(const checkpoint::Checkpoint& checkpoint, std::vector<TensorPiece> pieces,
                  const VisitPiece& visit);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_BATCHED_READS_H_

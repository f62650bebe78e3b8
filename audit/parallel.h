// Work over many tensors on all cores, with results in a fixed order.
#ifndef VERNIER_AUDIT_PARALLEL_H_
#define VERNIER_AUDIT_PARALLEL_H_

#include <tbb/parallel_for.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/hand_over.h"
#include "checkpoint/checkpoint.h"

namespace vernier::audit {

// {work(0), ..., work(count - 1)}: the result does not depend on the number of threads as long as
// each work(i) does not. The first exception of any work is rethrown.
template <typename Work>
auto ParallelMap(size_t count, const Work& work) {
  std::vector<decltype(work(size_t{0}))> results(count);
  HandOver();
  tbb::parallel_for(size_t{0}, count, [&](size_t i) {
    TakeOver();
    results[i] = work(i);
    HandOver();
  });
  TakeOver();
  return results;
}

// What one task holds of a tensor at a time.
inline constexpr uint64_t kChunkBytes = uint64_t{4} << 20;

// Calls visit(offset, bytes) for consecutive pieces of a tensor, each of at most kChunkBytes, a
// multiple of every element size.
template <typename Visit>
void ForEachChunk(const checkpoint::Checkpoint& checkpoint, size_t tensor, const Visit& visit) {
  const uint64_t total = checkpoint.tensor(tensor).info.Bytes();
  std::vector<uint8_t> buffer(std::min(total, kChunkBytes));
  for (uint64_t offset = 0; offset < total; offset += kChunkBytes) {
    const std::span<uint8_t> bytes(buffer.data(), std::min(kChunkBytes, total - offset));
    checkpoint.Read(tensor, offset, std::as_writable_bytes(bytes));
    visit(offset, std::span<const uint8_t>(bytes));
  }
}

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_PARALLEL_H_

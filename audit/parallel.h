// Work over many tensors on all cores, with results in a fixed order.
#ifndef VERNIER_AUDIT_PARALLEL_H_
#define VERNIER_AUDIT_PARALLEL_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "base/bounded_pipeline.h"
#include "base/interrupt.h"
#include "checkpoint/checkpoint.h"

namespace vernier::audit {

// {work(0), ..., work(count - 1)}: the result does not depend on the number of threads as long as
// each work(i) does not. The first exception of any work is rethrown; kInterrupted ends it early.
template <typename Work>
auto ParallelMap(size_t count, const Work& work) {
  const int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  std::vector<decltype(work(size_t{0}))> results;
  results.reserve(count);
  const auto next = [i = size_t{0}, count]() mutable {
    ThrowIfInterrupted();
    return i == count ? std::nullopt : std::optional(i++);
  };
  RunBounded(threads, 2 * threads, next, work,
             [&results](auto result) { results.push_back(std::move(result)); });
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
    ThrowIfInterrupted();
    const std::span<uint8_t> bytes(buffer.data(), std::min(kChunkBytes, total - offset));
    checkpoint.Read(tensor, offset, std::as_writable_bytes(bytes));
    visit(offset, std::span<const uint8_t>(bytes));
  }
}

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_PARALLEL_H_

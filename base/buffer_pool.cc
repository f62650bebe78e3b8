#include "base/buffer_pool.h"

#include <algorithm>
#include <bit>

#include "base/rounding.h"

namespace vernier {
namespace {

constexpr uint64_t kSmallestBuffer = uint64_t{64} << 10;

// Sizes are rounded up to steps of an eighth of their power of two, so that buffers of similar
// sizes serve for each other.
uint64_t RoundedSize(uint64_t size) {
  if (size <= kSmallestBuffer) return kSmallestBuffer;
  const uint64_t step = std::bit_floor(size) / 8;
  return RoundUp(size, step);
}

}  // namespace

PooledBuffer BufferPool::Take(uint64_t size) {
  if (size == 0) return {};
  const uint64_t rounded = RoundedSize(size);
  {
    const std::lock_guard lock(mutex_);
    const auto found = free_.lower_bound(rounded);
    if (found != free_.end() && found->first <= 2 * rounded) {
      AlignedBuffer memory = std::move(found->second);
      free_bytes_ -= found->first;
      free_.erase(found);
      return {shared_from_this(), std::move(memory), size};
    }
  }
  return {shared_from_this(), AlignedBuffer(rounded), size};
}

void BufferPool::Return(AlignedBuffer buffer) {
  const std::lock_guard lock(mutex_);
  free_bytes_ += buffer.size();
  free_.emplace(buffer.size(), std::move(buffer));
  while (free_bytes_ > keep_bytes_) {
    free_bytes_ -= free_.begin()->first;
    free_.erase(free_.begin());
  }
}

}  // namespace vernier

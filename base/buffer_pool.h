// Aligned memory that is used again and again: fresh pages cost a page fault each.
#ifndef VERNIER_BASE_BUFFER_POOL_H_
#define VERNIER_BASE_BUFFER_POOL_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <utility>

#include "base/aligned_buffer.h"

namespace vernier {

class PooledBuffer;

// Thread-safe. Buffers keep their pool alive.
class BufferPool : public std::enable_shared_from_this<BufferPool> {
 public:
  // At most `keep_bytes` stay allocated while nobody uses them.
  static std::shared_ptr<BufferPool> Make(uint64_t keep_bytes) {
    return std::shared_ptr<BufferPool>(new BufferPool(keep_bytes));
  }

  // `size` bytes of any content, aligned to kIoAlignment.
  PooledBuffer Take(uint64_t size);

 private:
  friend class PooledBuffer;

  explicit BufferPool(uint64_t keep_bytes) : keep_bytes_(keep_bytes) {}
  void Return(AlignedBuffer buffer);

  const uint64_t keep_bytes_;
  std::mutex mutex_;
  std::multimap<uint64_t, AlignedBuffer> free_;  // by size
  uint64_t free_bytes_ = 0;
};

// Returns its memory to the pool when it is destroyed.
class PooledBuffer {
 public:
  PooledBuffer() = default;
  PooledBuffer(std::shared_ptr<BufferPool> pool, AlignedBuffer memory, uint64_t size)
      : pool_(std::move(pool)), memory_(std::move(memory)), size_(size) {}
  PooledBuffer(PooledBuffer&&) = default;
  PooledBuffer& operator=(PooledBuffer&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(memory_, other.memory_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~PooledBuffer() {
    if (pool_) pool_->Return(std::move(memory_));
  }

  std::byte* data() const { return memory_.data(); }
  uint64_t size() const { return size_; }
  std::span<std::byte> bytes() const { return {memory_.data(), static_cast<size_t>(size_)}; }
  // The same bytes as U8 codes.
  std::span<uint8_t> codes() const {
    return {reinterpret_cast<uint8_t*>(memory_.data()), static_cast<size_t>(size_)};
  }

 private:
  std::shared_ptr<BufferPool> pool_;
  AlignedBuffer memory_;
  uint64_t size_ = 0;
};

}  // namespace vernier

#endif  // VERNIER_BASE_BUFFER_POOL_H_

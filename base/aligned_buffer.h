// Memory aligned for direct I/O.
#ifndef VERNIER_BASE_ALIGNED_BUFFER_H_
#define VERNIER_BASE_ALIGNED_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

namespace vernier {

// Direct I/O wants offsets, lengths and addresses that are multiples of the device's block; 4 KiB
// serves every device in use.
inline constexpr uint64_t kIoAlignment = 4096;

inline constexpr uint64_t AlignDown(uint64_t value) { return value / kIoAlignment * kIoAlignment; }
inline constexpr uint64_t AlignUp(uint64_t value) { return AlignDown(value + kIoAlignment - 1); }

// Owns `size` uninitialised bytes whose address is a multiple of kIoAlignment.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(uint64_t size) : size_(size) {
    if (size == 0) return;
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kIoAlignment, AlignUp(size))));
    if (!memory_) throw std::bad_alloc();
  }

  std::byte* data() const { return memory_.get(); }
  uint64_t size() const { return size_; }
  std::span<std::byte> bytes() const { return {memory_.get(), static_cast<size_t>(size_)}; }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };

  std::unique_ptr<std::byte, Free> memory_;
  uint64_t size_ = 0;
};

}  // namespace vernier

#endif  // VERNIER_BASE_ALIGNED_BUFFER_H_

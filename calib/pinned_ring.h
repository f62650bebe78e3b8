// A ring of bytes that a device can copy from while others are written.
#ifndef VERNIER_CALIB_PINNED_RING_H_
#define VERNIER_CALIB_PINNED_RING_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <deque>
#include <optional>

namespace vernier::calib {

// Hands out stretches of one host tensor, allocated once: each as soon as there is room behind the
// last one, and free again in the order in which they were handed out. For one thread at a time.
class PinnedRing {
 public:
  // `bytes` > 0, rounded up to kIoAlignment. Pinned when `device` is not the CPU.
  PinnedRing(uint64_t bytes, at::Device device);

  uint64_t capacity() const { return capacity_; }

  // Offset of `bytes` (at most capacity()) whose address is a multiple of kIoAlignment; nothing
  // while they are not free.
  std::optional<uint64_t> Reserve(uint64_t bytes);
  // Frees the oldest stretch.
  void ReleaseOldest();

  std::byte* Address(uint64_t offset) const { return begin_ + offset; }
  // [bytes] U8, from `offset` on.
  at::Tensor Bytes(uint64_t offset, uint64_t bytes) const;

 private:
  struct Stretch {
    uint64_t begin = 0;
    uint64_t end = 0;
  };

  at::Tensor memory_;
  std::byte* begin_;  // its first aligned byte
  uint64_t capacity_;
  std::deque<Stretch> used_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_PINNED_RING_H_

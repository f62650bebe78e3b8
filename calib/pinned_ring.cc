#include "calib/pinned_ring.h"

#include <cassert>

#include "base/aligned_buffer.h"

namespace vernier::calib {

PinnedRing::PinnedRing(uint64_t bytes, at::Device device) : capacity_(AlignUp(bytes)) {
  assert(bytes > 0);
  const auto allocate = [&](uint64_t size) {
    memory_ = at::empty({static_cast<int64_t>(size)},
                        at::TensorOptions().dtype(at::kByte).pinned_memory(!device.is_cpu()));
    begin_ = static_cast<std::byte*>(memory_.data_ptr());
    return reinterpret_cast<uintptr_t>(begin_);
  };
  // Large pinned memory begins at a page, and comes in powers of two: a page more would be twice as
  // much. Small memory begins anywhere.
  if (allocate(capacity_) % kIoAlignment == 0) return;
  const uintptr_t address = allocate(capacity_ + kIoAlignment);
  begin_ += AlignUp(address) - address;
}

std::optional<uint64_t> PinnedRing::Reserve(uint64_t bytes) {
  const uint64_t size = AlignUp(bytes);
  assert(size <= capacity_);
  // A stretch does not wrap: it begins behind the newest, or at the start of the ring.
  const uint64_t behind = used_.empty() ? 0 : used_.back().end;
  const bool wrapped = !used_.empty() && used_.back().end <= used_.front().begin;
  const uint64_t limit = wrapped ? used_.front().begin : capacity_;
  uint64_t begin = behind;
  if (begin + size > limit) {
    if (wrapped || used_.empty() || size > used_.front().begin) return std::nullopt;
    begin = 0;
  }
  used_.push_back({begin, begin + size});
  return begin;
}

void PinnedRing::ReleaseOldest() {
  assert(!used_.empty());
  used_.pop_front();
}

at::Tensor PinnedRing::Bytes(uint64_t offset, uint64_t bytes) const {
  const int64_t skip = begin_ - static_cast<std::byte*>(memory_.data_ptr());
  return memory_.narrow(0, skip + static_cast<int64_t>(offset), static_cast<int64_t>(bytes));
}

}  // namespace vernier::calib

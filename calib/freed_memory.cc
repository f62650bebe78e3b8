#include "calib/freed_memory.h"

#include <malloc.h>

namespace vernier::calib {
namespace {

constexpr int kLargestHeapBlock = 32 << 20;  // glibc's DEFAULT_MMAP_THRESHOLD_MAX
constexpr int kKeptAtTop = 256 << 20;
constexpr int kFirstThreshold = 128 << 10;  // glibc's DEFAULT_MMAP_THRESHOLD and _TRIM_THRESHOLD

void SetThresholds([[maybe_unused]] int largest_heap_block, [[maybe_unused]] int kept_at_top) {
#ifdef M_MMAP_THRESHOLD
  mallopt(M_MMAP_THRESHOLD, largest_heap_block);
  mallopt(M_TRIM_THRESHOLD, kept_at_top);
#endif
}

}  // namespace

KeptFreedMemory::KeptFreedMemory() { SetThresholds(kLargestHeapBlock, kKeptAtTop); }

KeptFreedMemory::~KeptFreedMemory() {
  SetThresholds(kFirstThreshold, kFirstThreshold);
  malloc_trim(0);
}

}  // namespace vernier::calib

#include "tools/freed_memory.h"

#include <malloc.h>

namespace vernier::tools {

#ifdef M_MMAP_THRESHOLD
namespace {

constexpr int kKeptBlock = 32 << 20;  // the most that glibc takes
constexpr int kKept = 256 << 20;
constexpr int kReturned = 128 << 10;  // glibc's defaults

}  // namespace

void KeepFreedMemory() {
  mallopt(M_MMAP_THRESHOLD, kKeptBlock);
  mallopt(M_TRIM_THRESHOLD, kKept);
}

void ReturnFreedMemory() {
  malloc_trim(0);
  mallopt(M_MMAP_THRESHOLD, kReturned);
  mallopt(M_TRIM_THRESHOLD, kReturned);
}
#else
void KeepFreedMemory() {}
void ReturnFreedMemory() {}
#endif

}  // namespace vernier::tools

// What the page cache holds of a file.
#ifndef VERNIER_BASE_CACHED_PAGES_H_
#define VERNIER_BASE_CACHED_PAGES_H_

#include <cstdint>

#include "base/file.h"

namespace vernier {

// Looks without reading anything, and without causing a read: a probe by reading makes the kernel
// read ahead. Thread-safe.
class CachedPages {
 public:
  // `file` may be closed afterwards.
  explicit CachedPages(const File& file);
  CachedPages(CachedPages&& other) noexcept;
  CachedPages& operator=(CachedPages&&) = delete;
  ~CachedPages();

  // Whether all pages of [begin, end), which is within the file, are in the page cache. Where the
  // system does not tell, they are not.
  bool Hold(uint64_t begin, uint64_t end) const;

 private:
  void* mapped_ = nullptr;  // the whole file, without access
  uint64_t size_ = 0;
};

}  // namespace vernier

#endif  // VERNIER_BASE_CACHED_PAGES_H_

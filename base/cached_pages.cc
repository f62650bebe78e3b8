#include "base/cached_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace vernier {
namespace {

uint64_t PageSize() {
  static const auto size = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return size;
}

}  // namespace

CachedPages::CachedPages(const File& file) : size_(file.Size()) {
  void* const mapped = mmap(nullptr, size_, PROT_NONE, MAP_SHARED, file.descriptor(), 0);
  if (mapped != MAP_FAILED) mapped_ = mapped;
}

CachedPages::CachedPages(CachedPages&& other) noexcept
    : mapped_(std::exchange(other.mapped_, nullptr)), size_(other.size_) {}

CachedPages::~CachedPages() {
  if (mapped_ != nullptr) munmap(mapped_, size_);
}

bool CachedPages::Hold(uint64_t begin, uint64_t end) const {
  if (mapped_ == nullptr || begin >= end) return false;
  const uint64_t first = begin / PageSize() * PageSize();
  std::vector<unsigned char> resident((end - first + PageSize() - 1) / PageSize());
  if (mincore(static_cast<char*>(mapped_) + first, end - first, resident.data()) != 0) return false;
  return std::ranges::all_of(resident, [](unsigned char page) { return (page & 1) != 0; });
}

}  // namespace vernier

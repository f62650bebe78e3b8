#include "tests/faults/damage.h"

#include <fmt/format.h>

#include <cassert>
#include <span>

#include "base/file.h"

namespace vernier::testing {
namespace {

// In [begin, end); the same on every standard library.
uint64_t Pick(uint64_t begin, uint64_t end, std::mt19937_64& random) {
  assert(begin < end);
  return begin + random() % (end - begin);
}

}  // namespace

std::string FlipBit(const std::filesystem::path& path, std::mt19937_64& random) {
  return FlipBit(path, 0, std::filesystem::file_size(path), random);
}

std::string FlipBit(const std::filesystem::path& path, uint64_t begin, uint64_t end,
                    std::mt19937_64& random) {
  const uint64_t offset = Pick(begin, end, random);
  const uint64_t bit = Pick(0, 8, random);
  const File file = File::OpenForWrite(path, /*truncate=*/false);
  std::byte value[1];
  file.ReadAt(offset, value);
  value[0] ^= std::byte{1} << bit;
  file.WriteAt(offset, value);
  return fmt::format("bit {} of byte {} of {}", bit, offset, path.string());
}

std::string Truncate(const std::filesystem::path& path, std::mt19937_64& random) {
  const uint64_t size = Pick(0, std::filesystem::file_size(path), random);
  std::filesystem::resize_file(path, size);
  return fmt::format("{} cut to {} bytes", path.string(), size);
}

}  // namespace vernier::testing

// How much memory may be taken.
#ifndef VERNIER_BASE_MEMORY_BOUND_H_
#define VERNIER_BASE_MEMORY_BOUND_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vernier {

// Bytes, or a share of what is free when the work begins, or neither: as usual.
struct MemoryBound {
  constexpr MemoryBound(uint64_t bytes = 0) : bytes(bytes) {}  // NOLINT: bytes are a bound
  static constexpr MemoryBound Share(int percent) {
    MemoryBound bound;
    bound.percent = percent;
    return bound;
  }

  // Bytes of `free` ones; `usual_percent` of them where nothing is said.
  uint64_t Of(uint64_t free, int usual_percent) const;
  // As ParseMemoryBound reads it: "70%", "1073741824", "0".
  std::string Text() const;

  bool operator==(const MemoryBound&) const = default;

  uint64_t bytes;   // 0: not said
  int percent = 0;  // 1 to 100; 0: not said
};

// "8GiB", "1048576", "70%" -> a bound; nothing when it is neither a size nor a whole percentage
// from 1 to 100. 0 bytes are as usual.
std::optional<MemoryBound> ParseMemoryBound(std::string_view text);
// What to write instead of a text that is none.
inline constexpr std::string_view kMemoryBoundHint =
    "Write bytes, a number with KiB, MiB, GiB, TiB, KB, MB, GB or TB, such as \"8GiB\", or a share "
    "of what is free from 1% to 100%, such as \"70%\"";

}  // namespace vernier

#endif  // VERNIER_BASE_MEMORY_BOUND_H_

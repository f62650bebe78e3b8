#include "base/memory_bound.h"

#include <charconv>

#include "base/text.h"

namespace vernier {
namespace {

constexpr int kAll = 100;

}  // namespace

uint64_t MemoryBound::Of(uint64_t free, int usual_percent) const {
  if (bytes != 0) return bytes;
  const int share = percent != 0 ? percent : usual_percent;
  return static_cast<uint64_t>(static_cast<double>(free) * share / kAll);
}

std::string MemoryBound::Text() const {
  return percent != 0 ? std::to_string(percent) + "%" : std::to_string(bytes);
}

std::optional<MemoryBound> ParseMemoryBound(std::string_view text) {
  if (!text.ends_with('%')) {
    const std::optional<uint64_t> bytes = ParseByteSize(text);
    return bytes ? std::optional(MemoryBound(*bytes)) : std::nullopt;
  }
  text.remove_suffix(1);
  int percent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (percent < 1 || percent > kAll) return std::nullopt;
  return MemoryBound::Share(percent);
}

}  // namespace vernier

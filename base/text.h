// Small text helpers for messages and reports.
#ifndef VERNIER_BASE_TEXT_H_
#define VERNIER_BASE_TEXT_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vernier {

// "1.25 GiB", "17 B"
std::string HumanBytes(uint64_t bytes);
// "1h02m", "3m07s", "4.2s"
std::string HumanDuration(double seconds);
// "1,234,567"
std::string HumanCount(uint64_t count);

// "512MiB", "8GiB", "80GB", "1048576" -> bytes; nothing when it is no size.
std::optional<uint64_t> ParseByteSize(std::string_view text);

// '*' matches any run of characters, '?' one, everything else itself; the whole name must match.
bool GlobMatch(std::string_view pattern, std::string_view name);

bool IsOneOf(std::string_view name, std::span<const std::string_view> names);

// The candidate with the smallest edit distance to `word`, when it is near enough to be a likely
// misspelling (at most a third of the letters differ).
std::optional<std::string> NearestName(std::string_view word,
                                       std::span<const std::string> candidates);

std::string JoinNames(std::span<const std::string> names, std::string_view separator = ", ");

// Lower-case hexadecimal digits, two a byte.
std::string HexDigits(std::span<const uint8_t> bytes);

}  // namespace vernier

#endif  // VERNIER_BASE_TEXT_H_

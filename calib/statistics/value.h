// What was observed at one place, as the store keeps it.
#ifndef VERNIER_CALIB_STATISTICS_VALUE_H_
#define VERNIER_CALIB_STATISTICS_VALUE_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace vernier::statistics {

static_assert(std::endian::native == std::endian::little,
              "values are stored as they lie in memory");

using Bytes = std::vector<std::byte>;

// A statistic's value over `tokens` rows. Over none there may be no payload.
struct Value {
  int64_t tokens = 0;
  Bytes payload;  // little-endian elements; what they mean is the statistic's business

  bool operator==(const Value&) const = default;
};

// The same with its elements as numbers, for the statistic's own functions.
template <class Element>
struct Observed {
  int64_t tokens = 0;
  std::vector<Element> elements;
};

// `tokens` as I64, then the payload. Every statistic's bytes begin so: how much was seen can be
// told of those that this program does not know.
Bytes ToBytes(const Value& value);
inline constexpr size_t kTokenBytes = sizeof(int64_t);
// `bytes`: kTokenBytes or more.
Value FromBytes(std::span<const std::byte> bytes);

template <class Element>
Bytes PayloadOf(std::span<const Element> elements) {
  Bytes payload(elements.size_bytes());
  if (!payload.empty()) std::memcpy(payload.data(), elements.data(), payload.size());
  return payload;
}

template <class Element>
Observed<Element> ElementsOf(const Value& value) {
  Observed<Element> observed{value.tokens,
                             std::vector<Element>(value.payload.size() / sizeof(Element))};
  if (!observed.elements.empty()) {
    std::memcpy(observed.elements.data(), value.payload.data(),
                observed.elements.size() * sizeof(Element));
  }
  return observed;
}

}  // namespace vernier::statistics

#endif  // VERNIER_CALIB_STATISTICS_VALUE_H_

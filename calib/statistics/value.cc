#include "calib/statistics/value.h"

#include <algorithm>
#include <cassert>

namespace vernier::statistics {

Bytes ToBytes(const Value& value) {
  Bytes bytes(kTokenBytes + value.payload.size());
  std::memcpy(bytes.data(), &value.tokens, kTokenBytes);
  std::ranges::copy(value.payload, bytes.begin() + kTokenBytes);
  return bytes;
}

Value FromBytes(std::span<const std::byte> bytes) {
  assert(bytes.size() >= kTokenBytes);
  Value value;
  std::memcpy(&value.tokens, bytes.data(), kTokenBytes);
  const std::span<const std::byte> payload = bytes.subspan(kTokenBytes);
  value.payload.assign(payload.begin(), payload.end());
  return value;
}

}  // namespace vernier::statistics

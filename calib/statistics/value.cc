#include "calib/statistics/value.h"

#include <cassert>

namespace vernier::statistics {

Bytes ToBytes(const Value& value) {
  Bytes bytes(kTokenBytes);
  std::memcpy(bytes.data(), &value.tokens, kTokenBytes);
  bytes.insert(bytes.end(), value.payload.begin(), value.payload.end());
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

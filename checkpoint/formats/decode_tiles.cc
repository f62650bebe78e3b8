#include "checkpoint/formats/decode_tiles.h"

#include <cassert>
#include <cstring>

namespace vernier::checkpoint {
namespace {

template <typename T>
T LoadElement(std::span<const std::byte> bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

}  // namespace

float LoadFloat(DType dtype, std::span<const std::byte> bytes, size_t index) {
  switch (dtype) {
    case DType::kF32:
      return LoadElement<float>(bytes, index);
    case DType::kBF16:
      return quantizers::Bf16ToFloat(LoadElement<uint16_t>(bytes, index));
    case DType::kF16:
      return quantizers::F16ToFloat(LoadElement<uint16_t>(bytes, index));
    default:
      assert(dtype == DType::kF8E8M0 || dtype == DType::kU8);
      return quantizers::E8m0ToFloat(LoadElement<uint8_t>(bytes, index));
  }
}

bool AlwaysExactInBf16(const Checkpoint& /*checkpoint*/, const LogicalWeight& /*weight*/) {
  return true;
}

}  // namespace vernier::checkpoint

// Single numbers as a checkpoint's tensors hold them.
#ifndef VERNIER_CHECKPOINT_NUMBERS_H_
#define VERNIER_CHECKPOINT_NUMBERS_H_

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "checkpoint/dtype.h"
#include "quantizers/float_formats.h"

namespace vernier::checkpoint {

// `value` as the dtype holds it: F32, BF16, or a power of two in E8M0 (also under the name U8).
inline float RoundNumber(float value, DType dtype) {
  if (dtype != DType::kBF16) return value;
  return quantizers::Bf16ToFloat(quantizers::FloatToBf16(value));
}

inline std::vector<std::byte> NumberBytes(float value, DType dtype) {
  const uint32_t bits = std::bit_cast<uint32_t>(RoundNumber(value, dtype));
  const size_t size = static_cast<size_t>(DTypeBits(dtype)) / 8;
  assert(size == 4 || size == 2 || size == 1);
  // F32 has the sign and exponent of both others at its top.
  const uint32_t top = size == 4 ? bits : size == 2 ? bits >> 16 : bits >> 23;
  std::vector<std::byte> bytes(size);
  std::memcpy(bytes.data(), &top, size);
  return bytes;
}

// Writes `value` as element `index` of an array of such a dtype.
inline void StoreNumber(float value, DType dtype, size_t index, std::span<uint8_t> out) {
  const std::vector<std::byte> bytes = NumberBytes(value, dtype);
  std::memcpy(out.data() + index * bytes.size(), bytes.data(), bytes.size());
}

inline float NumberFromBytes(std::span<const std::byte> bytes, DType dtype) {
  uint32_t top = 0;
  std::memcpy(&top, bytes.data(), bytes.size());
  if (dtype == DType::kF32) return std::bit_cast<float>(top);
  assert(dtype == DType::kBF16);
  return quantizers::Bf16ToFloat(static_cast<uint16_t>(top));
}

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_NUMBERS_H_

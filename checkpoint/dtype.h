// Element types of safetensors tensors.
#ifndef VERNIER_CHECKPOINT_DTYPE_H_
#define VERNIER_CHECKPOINT_DTYPE_H_

#include <cstdint>
#include <string_view>

namespace vernier::checkpoint {

enum class DType {
  kBool,
  kU8,
  kI8,
  kU16,
  kI16,
  kF16,
  kBF16,
  kU32,
  kI32,
  kF32,
  kU64,
  kI64,
  kF64,
  kF8E4M3,
  kF8E5M2,
  kF8E8M0,
  kF4,
  kOpaque,  // a dtype name this version does not know: its bytes are carried, never interpreted
};

// By the safetensors name ("BF16", "F8_E8M0"); kOpaque for an unknown one.
DType DTypeFromName(std::string_view name);
// The safetensors name; empty for kOpaque (TensorInfo keeps the original name).
std::string_view DTypeName(DType dtype);
// Bits of one element; 0 for kOpaque.
int DTypeBits(DType dtype);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_DTYPE_H_

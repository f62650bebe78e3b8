// The bytes of a GGUF file that are no tensor's (gguf.md of ggml, version 3).
#ifndef VERNIER_CHECKPOINT_CONTAINERS_GGUF_BYTES_H_
#define VERNIER_CHECKPOINT_CONTAINERS_GGUF_BYTES_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/families/gguf_model.h"

namespace vernier::checkpoint::gguf {

inline constexpr std::string_view kMagic = "GGUF";
inline constexpr uint32_t kVersion = 3;
inline constexpr uint64_t kAlignment = 32;  // of tensors, where general.alignment is absent

// Of values in metadata.
enum class ValueType : uint32_t {
  kUint16 = 2,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
};

// A type of tensors: `block` values of a row lie in `block_bytes` bytes.
struct TensorType {
  std::string_view name;
  uint32_t id = 0;
  int64_t block = 1;
  uint64_t block_bytes = 0;
};
std::span<const TensorType> TensorTypes();
// By name ("Q8_0"), or null.
const TensorType* FindType(std::string_view name);

struct TensorEntry {
  std::string name;
  const TensorType* type = nullptr;
  std::vector<int64_t> shape;  // rows last but one, as elsewhere; the file has it reversed
  uint64_t offset = 0;         // in the data, which begins where the head ends
};

// Everything before the data, padded to the alignment.
std::string Head(const GgufMetadata& metadata, std::span<const TensorEntry> tensors);

}  // namespace vernier::checkpoint::gguf

#endif  // VERNIER_CHECKPOINT_CONTAINERS_GGUF_BYTES_H_

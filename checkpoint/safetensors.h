// The safetensors container: 8-byte little-endian header length, JSON header, tensor data.
#ifndef VERNIER_CHECKPOINT_SAFETENSORS_H_
#define VERNIER_CHECKPOINT_SAFETENSORS_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "checkpoint/tensor_info.h"

namespace vernier::checkpoint {

inline constexpr std::string_view kSafetensorsExtension = ".safetensors";
// The header's length stands before it.
inline constexpr uint64_t kHeaderPrefixBytes = 8;
// The safetensors reference implementation's own limit.
inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  // in file order
  std::map<std::string, std::string> metadata;
  uint64_t data_begin = 0;  // file offset of the first tensor byte
  std::string hash;         // of the length prefix and the JSON text
};

// Parses and checks a header of a file of `file_bytes` bytes: sizes agree with dtype and shape,
// ranges neither overlap nor leave holes, the data ends where the file ends (kBadHeader, kTruncated
// naming `origin` and the tensor). `json` is the header text without the length prefix.
SafetensorsHeader ParseSafetensorsHeader(std::string_view json, uint64_t file_bytes,
                                         std::string_view origin);

// kTruncated when the file ends inside its header, kBadHeader when the header is too large.
SafetensorsHeader ReadSafetensorsHeader(const File& file);

// A file's complete layout, known before its first byte. Tensors are ordered by element size
// (largest first), then by name, so that every tensor is aligned and the bytes are deterministic.
struct SafetensorsLayout {
  std::string prefix;               // length prefix + header JSON, padded so that data is 8-aligned
  std::vector<TensorInfo> tensors;  // in file order, with final byte ranges
  uint64_t file_bytes = 0;
};
// kBadHeader when two tensors have one name, or the header would exceed kMaxHeaderBytes.
SafetensorsLayout PlanSafetensors(std::vector<TensorSpec> tensors,
                                  const std::map<std::string, std::string>& metadata);

// The prefix of a planned file, from its tensors in file order: of those of a SafetensorsLayout the
// same bytes. kBadHeader when it would exceed kMaxHeaderBytes.
std::string SafetensorsPrefix(std::span<const TensorInfo* const> tensors,
                              const std::map<std::string, std::string>& metadata);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_SAFETENSORS_H_

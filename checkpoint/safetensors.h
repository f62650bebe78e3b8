// The safetensors container: 8-byte little-endian header length, JSON header, tensor data.
#ifndef VERNIER_CHECKPOINT_SAFETENSORS_H_
#define VERNIER_CHECKPOINT_SAFETENSORS_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "checkpoint/dtype.h"

namespace vernier::checkpoint {

// The header's length stands before it.
inline constexpr uint64_t kHeaderPrefixBytes = 8;
// The safetensors reference implementation's own limit.
inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;

struct TensorInfo {
  std::string name;
  DType dtype = DType::kOpaque;
  std::string dtype_name;  // as written in the header
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // byte range in the file, header included
  uint64_t end = 0;

  uint64_t Bytes() const { return end - begin; }
  int64_t Elements() const;
};

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

// A tensor to be written.
struct TensorSpec {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  std::string opaque_dtype_name = {};  // for kOpaque: the name to write
  uint64_t opaque_bytes = 0;           // for kOpaque: the size
};

// Bytes that a tensor occupies. kBadHeader when the shape is impossible or its bytes overflow.
uint64_t SpecBytes(const TensorSpec& spec);

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

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_SAFETENSORS_H_

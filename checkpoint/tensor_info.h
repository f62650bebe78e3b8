// A tensor of a file, whatever the container: there, or to be written.
#ifndef VERNIER_CHECKPOINT_TENSOR_INFO_H_
#define VERNIER_CHECKPOINT_TENSOR_INFO_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/dtype.h"

namespace vernier::checkpoint {

struct TensorInfo {
  std::string name;
  DType dtype = DType::kOpaque;
  std::string dtype_name;  // as written in the file
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // byte range in the file
  uint64_t end = 0;

  uint64_t Bytes() const { return end - begin; }
  int64_t Elements() const;
};

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

// The tensor in a file, from byte `begin` on; errors of SpecBytes.
TensorInfo PlaceTensor(TensorSpec spec, uint64_t begin);

// Nothing when the product does not fit.
std::optional<int64_t> CheckedElements(const std::vector<int64_t>& shape);
// Nothing when the size overflows or is no whole number of bytes.
std::optional<uint64_t> CheckedBytes(DType dtype, const std::vector<int64_t>& shape);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_TENSOR_INFO_H_

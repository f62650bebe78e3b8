#include "checkpoint/tensor_info.h"

#include <utility>

#include "base/error.h"

namespace vernier::checkpoint {

int64_t TensorInfo::Elements() const {
  int64_t elements = 1;
  for (const int64_t extent : shape) elements *= extent;
  return elements;
}

uint64_t SpecBytes(const TensorSpec& spec) {
  if (spec.dtype == DType::kOpaque) return spec.opaque_bytes;
  const std::optional<uint64_t> bytes = CheckedBytes(spec.dtype, spec.shape);
  if (bytes) return *bytes;
  throw Error(ErrorCode::kBadHeader, spec.name, "its size in bytes is impossible",
              "Check the tensor's shape");
}

TensorInfo PlaceTensor(TensorSpec spec, uint64_t begin) {
  TensorInfo info;
  info.begin = begin;
  info.end = begin + SpecBytes(spec);
  info.dtype = spec.dtype;
  info.dtype_name = spec.dtype == DType::kOpaque ? std::move(spec.opaque_dtype_name)
                                                 : std::string(DTypeName(spec.dtype));
  info.name = std::move(spec.name);
  info.shape = std::move(spec.shape);
  return info;
}

std::optional<int64_t> CheckedElements(const std::vector<int64_t>& shape) {
  int64_t elements = 1;
  for (const int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(elements, extent, &elements)) return std::nullopt;
  }
  return elements;
}

std::optional<uint64_t> CheckedBytes(DType dtype, const std::vector<int64_t>& shape) {
  const std::optional<int64_t> elements = CheckedElements(shape);
  if (!elements) return std::nullopt;
  uint64_t bits = 0;
  if (__builtin_mul_overflow(static_cast<uint64_t>(*elements),
                             static_cast<uint64_t>(DTypeBits(dtype)), &bits)) {
    return std::nullopt;
  }
  if (bits % 8 != 0) return std::nullopt;
  return bits / 8;
}

}  // namespace vernier::checkpoint

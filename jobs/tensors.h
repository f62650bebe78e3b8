// Tensors that a caller reads into memory of its own: the weights of a checkpoint, dequantised, or
// what a calibration observed.
#ifndef VERNIER_JOBS_TENSORS_H_
#define VERNIER_JOBS_TENSORS_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "base/json.h"

namespace vernier::jobs {

// Rows are slices of the first dimension; a scalar has one.
struct RowRange {
  int64_t begin = 0;
  int64_t count = 0;
};

// Thread-safe.
class TensorSource {
 public:
  virtual ~TensorSource() = default;

  // [{"name", "dtype": "F32", "F64" or "I64", "shape", ...}, ...]
  virtual const Json& List() const = 0;

  // Writes rows of the tensor, row-major in its dtype, to `values`, which has just that size.
  // kBadArgument for a name that is none, rows that it has not, and another size; otherwise what
  // keeps them from being read.
  virtual void Read(std::string_view name, RowRange rows, std::span<std::byte> values) const = 0;
};

// Every logical weight that holds numbers, as F32, with its "role", "format" and "layer" (-1: of
// no layer). Errors as checkpoint::OpenAnySourceModel.
std::unique_ptr<TensorSource> OpenWeights(const std::filesystem::path& checkpoint);

// Every statistic of a run directory, under the names that they have in safetensors
// (docs/store.md), with its "statistic", "module", "layer" and "tokens". Errors as
// run::Store::OpenForReading.
std::unique_ptr<TensorSource> OpenStatistics(const std::filesystem::path& run);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_TENSORS_H_

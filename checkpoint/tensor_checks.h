// Holds the parts of a weight against what its format allows.
#ifndef VERNIER_CHECKPOINT_TENSOR_CHECKS_H_
#define VERNIER_CHECKPOINT_TENSOR_CHECKS_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "base/error.h"
#include "checkpoint/checkpoint.h"

namespace vernier::checkpoint {

// Tensors are indices into Checkpoint::tensors(); every failure names the tensor.
class TensorChecks {
 public:
  explicit TensorChecks(const Checkpoint& checkpoint) : checkpoint_(&checkpoint) {}

  const TensorInfo& Info(size_t tensor) const { return checkpoint_->tensor(tensor).info; }

  [[noreturn]] void Fail(ErrorCode code, size_t tensor, const std::string& problem) const;

  // kWrongDtype and kWrongShape.
  void RequireDtype(size_t tensor, std::initializer_list<DType> allowed) const;
  void RequireShape(size_t tensor, const std::vector<int64_t>& expected) const;
  void RequireMatrix(size_t tensor) const;
  // A single value, written with or without a dimension.
  void RequireScalar(size_t tensor, std::initializer_list<DType> allowed) const;

 private:
  const Checkpoint* checkpoint_;
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_TENSOR_CHECKS_H_

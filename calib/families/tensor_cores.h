// Products of widened operands on the tensor cores of a GPU.
#ifndef VERNIER_CALIB_FAMILIES_TENSOR_CORES_H_
#define VERNIER_CALIB_FAMILIES_TENSOR_CORES_H_

#include <ATen/ATen.h>
#include <ATen/Context.h>

namespace vernier::calib {

// While it lives, F32 products on a GPU may take their operands in TF32, if these were widened from
// BF16: of values that are BF16 numbers nothing is lost, of others, such as probabilities, all but
// 11 bits, which is eight times as exact as the BF16 in which attention kernels take them. Sums are
// F32 either way. `values`: of the dtype that the operands had before. For one thread.
class TensorCores {
 public:
  explicit TensorCores(const at::Tensor& values)
      : allowed_before_(at::globalContext().allowTF32CuBLAS()) {
    if (values.is_cuda() && values.scalar_type() == at::kBFloat16) {
      at::globalContext().setAllowTF32CuBLAS(true);
    }
  }
  ~TensorCores() { at::globalContext().setAllowTF32CuBLAS(allowed_before_); }
  TensorCores(const TensorCores&) = delete;
  TensorCores& operator=(const TensorCores&) = delete;

 private:
  bool allowed_before_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_TENSOR_CORES_H_

// Linear layers with the same arithmetic on every device and libtorch: operands of the compute
// dtype, products accumulated in F32, one rounding at the end.
//
// On the CPU, BF16 operands are widened and multiplied in F32, unless CpuProductsSetting says that
// oneDNN multiplies them: without AVX-512 libtorch multiplies BF16 a hundred times slower.
#ifndef VERNIER_CALIB_FAMILIES_LINEAR_H_
#define VERNIER_CALIB_FAMILIES_LINEAR_H_

#include <ATen/ATen.h>

#include "recipes/recipe.h"

namespace vernier::calib {

// Whether this processor has AVX512-BF16 or AMX for BF16, and this libtorch has oneDNN to use it.
bool HasFastBf16Products();

// kF32 or kBf16: what kAuto is here.
recipes::CpuProducts ResolveProducts(recipes::CpuProducts products);

// What Linear and GroupedLinear multiply on CPUs while it lives, kF32 (without one) or kBf16. Like
// libtorch's own settings it is the process's: not for two calibrations at a time that differ.
class CpuProductsSetting {
 public:
  explicit CpuProductsSetting(recipes::CpuProducts products);
  ~CpuProductsSetting();
  CpuProductsSetting(const CpuProductsSetting&) = delete;
  CpuProductsSetting& operator=(const CpuProductsSetting&) = delete;

 private:
  bool before_;
};

// x [..., K] times w [N, K] transposed, plus `bias` [N] if it is defined -> [..., N], x's dtype.
// All have the same dtype.
at::Tensor Linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias = {});

// The same without the last rounding: F32. For small layers whose result decides something, and
// for the head.
at::Tensor LinearF32(const at::Tensor& x, const at::Tensor& w);

// Group g of x [T, G, K] times rows [g * N, (g + 1) * N) of w [G * N, K] -> [T, G * N], x's dtype.
at::Tensor GroupedLinear(const at::Tensor& x, const at::Tensor& w);

// Matrices a [B, R, K] times b [B, K, N] -> [B, R, N], in their dtype. On a device that is not the
// CPU `together` at a time, so that one's product does not depend on how many there are.
at::Tensor MatrixProducts(const at::Tensor& a, const at::Tensor& b, int64_t together);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_LINEAR_H_

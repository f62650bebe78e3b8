// Linear layers with the same arithmetic on every device and libtorch: operands of the compute
// dtype, products accumulated in F32, one rounding at the end.
//
// On the CPU, BF16 operands are widened and multiplied in F32: older libtorch multiplies BF16
// a hundred times slower, newer ones round in between.
#ifndef VERNIER_CALIB_FAMILIES_LINEAR_H_
#define VERNIER_CALIB_FAMILIES_LINEAR_H_

#include <ATen/ATen.h>

namespace vernier::calib {

// x [..., K] times w [N, K] transposed, plus `bias` [N] if it is defined -> [..., N], x's dtype.
// All have the same dtype.
at::Tensor Linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias = {});

// The same without the last rounding: F32. For small layers whose result decides something, and
// for the head.
at::Tensor LinearF32(const at::Tensor& x, const at::Tensor& w);

// Group g of x [T, G, K] times rows [g * N, (g + 1) * N) of w [G * N, K] -> [T, G * N], x's dtype.
at::Tensor GroupedLinear(const at::Tensor& x, const at::Tensor& w);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_LINEAR_H_

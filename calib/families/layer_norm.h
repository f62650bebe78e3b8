// Layer normalisation over the last axis, computed in F32.
#ifndef VERNIER_CALIB_FAMILIES_LAYER_NORM_H_
#define VERNIER_CALIB_FAMILIES_LAYER_NORM_H_

#include <ATen/ATen.h>

namespace vernier::calib {

// (x - mean(x)) / sqrt(var(x) + eps) * weight + bias, with the variance of all values: x [..., K],
// weight and bias [K] F32 -> x's shape, rounded once to x's dtype.
at::Tensor LayerNorm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                     double eps);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_LAYER_NORM_H_

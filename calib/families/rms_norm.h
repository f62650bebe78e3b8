// Root-mean-square normalisation over the last axis, computed in F32.
#ifndef VERNIER_CALIB_FAMILIES_RMS_NORM_H_
#define VERNIER_CALIB_FAMILIES_RMS_NORM_H_

#include <ATen/ATen.h>

namespace vernier::calib {

// x / sqrt(mean(x^2) + eps), x's dtype.
at::Tensor RmsNormalize(const at::Tensor& x, double eps);
// The same in F32, not rounded.
at::Tensor RmsNormalizeF32(const at::Tensor& x, double eps);

// The same times `weight` [K] (F32), rounded once to x's dtype.
at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_RMS_NORM_H_

#include "calib/families/rms_norm.h"

namespace vernier::calib {
namespace {

at::Tensor NormalizeF32(const at::Tensor& x, double eps) {
  const at::Tensor wide = x.to(at::kFloat);
  return wide * at::rsqrt(wide.square().mean(-1, /*keepdim=*/true) + eps);
}

}  // namespace

at::Tensor RmsNormalize(const at::Tensor& x, double eps) {
  return NormalizeF32(x, eps).to(x.scalar_type());
}

at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  return (NormalizeF32(x, eps) * weight).to(x.scalar_type());
}

}  // namespace vernier::calib

// Root-mean-square normalisation over the last axis, computed in F32.
#ifndef VERNIER_CALIB_FAMILIES_RMS_NORM_H_
#define VERNIER_CALIB_FAMILIES_RMS_NORM_H_

#include <ATen/ATen.h>

#include <string>
#include <utility>

#include "calib/tensor_loader.h"
#include "checkpoint/families/decoder_config.h"

namespace vernier::calib {

// What a norm of this model multiplies by, F32: module.weight, plus 1 where weights are stored
// without it.
at::Tensor LoadNorm(const TensorLoader& loader, const checkpoint::DecoderConfig& config,
                    const std::string& module);

// x / sqrt(mean(x^2) + eps), x's dtype.
at::Tensor RmsNormalize(const at::Tensor& x, double eps);
// The same in F32, not rounded.
at::Tensor RmsNormalizeF32(const at::Tensor& x, double eps);

// The same times `weight` [K] (F32), rounded once to x's dtype.
at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps);

// A norm that some layers have, over the last axis.
class OptionalNorm {
 public:
  OptionalNorm() = default;
  // `weight` [K]: F32, or undefined: the layer has none.
  OptionalNorm(at::Tensor weight, double eps) : weight_(std::move(weight)), eps_(eps) {}

  // RmsNorm(x), or x itself.
  at::Tensor Of(const at::Tensor& x) const {
    return weight_.defined() ? RmsNorm(x, weight_, eps_) : x;
  }

 private:
  at::Tensor weight_;
  double eps_ = 0;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_RMS_NORM_H_

#include "calib/families/linear_layer.h"

#include <utility>

#include "calib/families/linear.h"

namespace vernier::calib {

LinearLayer::LinearLayer(const TensorLoader& loader, std::string module, bool bias)
    : module_(std::move(module)), weight_(loader.Load(module_ + ".weight")) {
  if (bias) bias_ = loader.Load(module_ + ".bias");
}

at::Tensor LinearLayer::TakeInput(const at::Tensor& x, const TokenBatch& batch, Tap& tap) const {
  return calib::TakeInput(tap, {.module = module_, .weight = weight_}, batch, x);
}

at::Tensor LinearLayer::Apply(const at::Tensor& x) const { return Linear(x, weight_, bias_); }

LinearLayer LinearLayer::Rows(int64_t begin, int64_t end) const {
  LinearLayer part = *this;
  part.weight_ = weight_.slice(0, begin, end);
  if (bias_.defined()) part.bias_ = bias_.slice(0, begin, end);
  return part;
}

}  // namespace vernier::calib

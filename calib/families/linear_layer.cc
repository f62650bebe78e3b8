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

}  // namespace vernier::calib

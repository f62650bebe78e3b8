#include "calib/families/swiglu.h"

#include <cmath>
#include <limits>

namespace vernier::calib {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// F32 values within [low, high]. A copy that the cast made is clamped in place.
at::Tensor WidenWithin(const at::Tensor& x, double low, double high) {
  at::Tensor wide = x.to(at::kFloat);
  if (!std::isfinite(high)) return wide;
  return wide.is_same(x) ? wide.clamp(low, high) : wide.clamp_(low, high);
}

}  // namespace

at::Tensor SwigluProduct(const at::Tensor& gate, const at::Tensor& up, double limit) {
  // One wide copy at a time beside the product.
  at::Tensor product = at::silu(WidenWithin(gate, -kInfinity, limit));
  product.mul_(WidenWithin(up, -limit, limit));
  return product.to(gate.scalar_type());
}

}  // namespace vernier::calib

#include "calib/families/swiglu.h"

#include <cmath>

namespace vernier::calib {

at::Tensor SwigluProduct(const at::Tensor& gate, const at::Tensor& up, double limit) {
  at::Tensor wide_gate = gate.to(at::kFloat), wide_up = up.to(at::kFloat);
  if (std::isfinite(limit)) {
    wide_gate = wide_gate.clamp_max(limit);
    wide_up = wide_up.clamp(-limit, limit);
  }
  return (at::silu(wide_gate) * wide_up).to(gate.scalar_type());
}

}  // namespace vernier::calib

// Gated feed-forward networks, dense, shared or routed: down(act(gate x) * up x).
#ifndef VERNIER_CALIB_FAMILIES_SWIGLU_H_
#define VERNIER_CALIB_FAMILIES_SWIGLU_H_

#include <ATen/ATen.h>

#include <limits>

#include "checkpoint/families/decoder_config.h"

namespace vernier::calib {

// silu(min(gate, limit)) * clamp(up, -limit, limit), computed in F32 and rounded once to gate's
// dtype. Both [..., I].
at::Tensor SwigluProduct(const at::Tensor& gate, const at::Tensor& up,
                         double limit = std::numeric_limits<double>::infinity());

// What `config` makes of gate and up, computed in F32 and rounded once to gate's dtype. Both
// [..., I].
at::Tensor GatedProduct(const at::Tensor& gate, const at::Tensor& up,
                        const checkpoint::GateConfig& config);

// 1 / (1 + exp(-x)) in F32. By steps that give an element the same wherever it stands, which
// libtorch's own sigmoid does not.
at::Tensor SigmoidF32(const at::Tensor& x);

// x * sigmoid(gate), computed in F32 and rounded once to x's dtype. Both [..., I].
at::Tensor GateBySigmoid(const at::Tensor& x, const at::Tensor& gate);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_SWIGLU_H_

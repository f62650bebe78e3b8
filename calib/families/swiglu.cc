#include "calib/families/swiglu.h"

#include <cmath>
#include <limits>

#include "calib/device_forward.h"
#include "calib/families/row_tiles.h"

namespace vernier::calib {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// F32 values within [low, high]. A copy that the cast made is clamped in place.
at::Tensor WidenWithin(const at::Tensor& x, double low, double high) {
  at::Tensor wide = x.to(at::kFloat);
  if (!std::isfinite(high)) return wide;
  return wide.is_same(x) ? wide.clamp(low, high) : wide.clamp_(low, high);
}

// 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) of F32 x (arXiv 1606.08415), by steps that give
// an element the same wherever it stands.
at::Tensor GeluTanh(const at::Tensor& x) {
  constexpr double kScale = 0.79788456080286536, kCubic = 0.044715;
  return x.square().mul_(kCubic).add_(1).mul_(x).mul_(kScale).tanh_().add_(1).mul_(x).mul_(0.5);
}

// 0.5 x (1 + erf(x / sqrt(2))), likewise.
at::Tensor Gelu(const at::Tensor& x) {
  constexpr double kRootOfHalf = 0.70710678118654752;
  return (x * kRootOfHalf).erf_().add_(1).mul_(x).mul_(0.5);
}

// gate: F32.
at::Tensor Activated(const at::Tensor& gate, const checkpoint::GateConfig& config) {
  switch (config.kind) {
    case checkpoint::GateKind::kSilu:
      return SigmoidF32(gate * config.alpha).mul_(gate);
    case checkpoint::GateKind::kGelu:
      return Gelu(gate);
    case checkpoint::GateKind::kGeluTanh:
      return GeluTanh(gate);
  }
  return gate;
}

}  // namespace

at::Tensor SwigluProduct(const at::Tensor& gate, const at::Tensor& up, double limit) {
  if (const auto device = DeviceForward::For(gate)) return device->Swiglu(gate, up, limit);
  return MapRows(gate, up, [&](const at::Tensor& gate_rows, const at::Tensor& up_rows) {
    return at::silu(WidenWithin(gate_rows, -kInfinity, limit))
        .mul_(WidenWithin(up_rows, -limit, limit));
  });
}

at::Tensor GatedProduct(const at::Tensor& gate, const at::Tensor& up,
                        const checkpoint::GateConfig& config) {
  if (config == checkpoint::GateConfig{.limit = config.limit}) {
    return SwigluProduct(gate, up, config.limit);
  }
  return MapRows(gate, up, [&](const at::Tensor& gate_rows, const at::Tensor& up_rows) {
    const at::Tensor value = WidenWithin(up_rows, -config.limit, config.limit) + config.up_offset;
    return Activated(WidenWithin(gate_rows, -kInfinity, config.limit), config).mul_(value);
  });
}

at::Tensor SigmoidF32(const at::Tensor& x) {
  return x.to(at::kFloat).neg().exp_().add_(1).reciprocal_();
}

at::Tensor GateBySigmoid(const at::Tensor& x, const at::Tensor& gate) {
  return MapRows(x, gate, [](const at::Tensor& rows, const at::Tensor& gate_rows) {
    return SigmoidF32(gate_rows).mul_(rows);
  });
}

}  // namespace vernier::calib

#include "calib/families/rms_norm.h"

#include "calib/device_forward.h"
#include "calib/families/row_tiles.h"

namespace vernier::calib {
namespace {

at::Tensor NormalizeF32(const at::Tensor& x, double eps) {
  const at::Tensor wide = x.to(at::kFloat);
  return wide * at::rsqrt(wide.square().mean(-1, /*keepdim=*/true) + eps);
}

}  // namespace

at::Tensor LoadNorm(const TensorLoader& loader, const checkpoint::DecoderConfig& config,
                    const std::string& module) {
  const at::Tensor stored = loader.LoadExact(module + ".weight");
  return config.unit_offset_norms ? stored + 1.0 : stored;
}

at::Tensor RmsNormalize(const at::Tensor& x, double eps) {
  if (const auto device = DeviceForward::For(x)) {
    return device->Normalize(x, /*weight=*/{}, eps, x.scalar_type());
  }
  return MapRows(x, [&](const at::Tensor& rows) { return NormalizeF32(rows, eps); });
}

at::Tensor RmsNormalizeF32(const at::Tensor& x, double eps) {
  if (const auto device = DeviceForward::For(x)) {
    return device->Normalize(x, /*weight=*/{}, eps, at::kFloat);
  }
  return RmsNormalize(x.to(at::kFloat), eps);
}

at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  if (const auto device = DeviceForward::For(x)) {
    return device->Normalize(x, weight, eps, x.scalar_type());
  }
  return MapRows(x, [&](const at::Tensor& rows) { return NormalizeF32(rows, eps).mul_(weight); });
}

}  // namespace vernier::calib

#include "calib/families/layer_norm.h"

#include "calib/families/row_tiles.h"

namespace vernier::calib {

at::Tensor LayerNorm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                     double eps) {
  return MapRows(x, [&](const at::Tensor& rows) {
    const at::Tensor wide = rows.to(at::kFloat);
    const at::Tensor centred = wide - wide.mean(-1, /*keepdim=*/true);
    const at::Tensor scale = at::rsqrt(centred.square().mean(-1, /*keepdim=*/true) + eps);
    return (centred * scale).mul_(weight).add_(bias);
  });
}

}  // namespace vernier::calib

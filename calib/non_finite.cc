#include "calib/non_finite.h"

#include <cmath>
#include <vector>

namespace vernier::calib {

std::optional<NonFinite> FindNonFinite(const at::Tensor& x) {
  if (x.numel() == 0) return std::nullopt;
  const at::Tensor bad = at::isfinite(x).logical_not().reshape({-1}).nonzero();
  if (bad.size(0) == 0) return std::nullopt;
  const int64_t first = bad[0].item<int64_t>();
  return NonFinite{.row = first / x.size(-1),
                   .value = x.reshape({-1})[first].item<float>(),
                   .count = bad.size(0)};
}

bool AllFinite(std::span<const at::Tensor> tensors) {
  std::vector<at::Tensor> amax;
  for (const at::Tensor& x : tensors) {
    if (x.defined() && x.numel() > 0) amax.push_back(x.abs().amax().to(at::kFloat));
  }
  // amax keeps a NaN.
  return amax.empty() || at::isfinite(at::stack(amax)).all().item<bool>();
}

bool IsFinite(const at::Tensor& x) { return AllFinite(std::span(&x, 1)); }

at::Tensor ClampNonFinite(const at::Tensor& x) { return at::nan_to_num(x); }

}  // namespace vernier::calib

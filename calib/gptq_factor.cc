#include "calib/gptq_factor.h"

#include <span>

#include "quantizers/nvfp4_gptq.h"

namespace vernier::calib {
namespace {

// Lower triangular L of L L^T = matrix; undefined where there is none.
at::Tensor Cholesky(const at::Tensor& matrix) {
  const auto [lower, info] = at::linalg_cholesky_ex(matrix);
  return info.item<int>() == 0 ? lower : at::Tensor();
}

}  // namespace

std::optional<GptqFactor> FactorOf(const at::Tensor& hessian) {
  const at::Tensor diagonal = hessian.diagonal().cpu().to(at::kDouble).contiguous();
  const double mean = diagonal.mean().item<double>();
  if (mean == 0) return std::nullopt;
  GptqFactor factor;
  factor.order = quantizers::Nvfp4GptqOrder(
      {diagonal.data_ptr<double>(), static_cast<size_t>(diagonal.numel())});

  const at::Tensor order = at::tensor(factor.order, at::kInt).to(at::kLong).to(hessian.device());
  const at::Tensor upper = hessian.triu().to(at::kDouble).div_(mean);
  at::Tensor matrix = upper + upper.triu(1).t();
  matrix.diagonal().add_(kGptqDamping);
  matrix = matrix.index_select(0, order).index_select(1, order);
  const at::Tensor lower = Cholesky(matrix);
  if (!lower.defined()) return std::nullopt;
  // U^T U = L' L'^T of the inverse.
  const at::Tensor of_inverse = Cholesky(at::cholesky_inverse(lower));
  if (!of_inverse.defined()) return std::nullopt;
  factor.upper = of_inverse.t().to(at::kFloat).contiguous();
  return factor;
}

}  // namespace vernier::calib

#include "calib/gptq_factor.h"

#include <cmath>
#include <span>

#include "quantizers/nvfp4_gptq.h"

namespace vernier::calib {
namespace {

// Columns of a triangular matrix that is inverted by substitution; larger ones are products.
constexpr int64_t kSubstituted = 512;

// Of a lower triangular matrix [n, n].
at::Tensor InverseOfLower(const at::Tensor& lower) {
  const int64_t n = lower.size(0), half = n / 2;
  if (n <= kSubstituted) {
    return at::linalg_solve_triangular(lower, at::eye(n, lower.options()), /*upper=*/false);
  }
  const auto quarter = [half, n](const at::Tensor& of, bool low, bool right) {
    return of.slice(0, low ? half : 0, low ? n : half).slice(1, right ? half : 0, right ? n : half);
  };
  const at::Tensor first = InverseOfLower(quarter(lower, false, false));
  const at::Tensor last = InverseOfLower(quarter(lower, true, true));
  at::Tensor inverse = at::zeros_like(lower);
  quarter(inverse, false, false).copy_(first);
  quarter(inverse, true, true).copy_(last);
  quarter(inverse, true, false).copy_(last.mm(quarter(lower, true, false)).mm(first).neg_());
  return inverse;
}

}  // namespace

std::optional<GptqFactor> FactorOf(const at::Tensor& hessian) {
  const at::Tensor diagonal = hessian.diagonal().cpu().to(at::kDouble).contiguous();
  const double mean = diagonal.mean().item<double>();
  if (!(mean > 0) || !std::isfinite(mean)) return std::nullopt;
  GptqFactor factor;
  factor.order = quantizers::Nvfp4GptqOrder(
      {diagonal.data_ptr<double>(), static_cast<size_t>(diagonal.numel())});

  // Of the positions from last to first H is L L^T, so that L^-1, turned back, is U.
  const at::Tensor backwards =
      at::tensor(factor.order, at::kInt).to(at::kLong).flip(0).to(hessian.device());
  const at::Tensor upper = hessian.triu();
  const at::Tensor whole = upper + upper.triu(1).t();
  at::Tensor matrix = whole.index_select(0, backwards).index_select(1, backwards).to(at::kDouble);
  matrix.div_(mean).diagonal().add_(kGptqDamping);
  const auto [lower, info] = at::linalg_cholesky_ex(matrix);
  if (info.item<int>() != 0) return std::nullopt;
  factor.upper = InverseOfLower(lower).to(at::kFloat).flip({0, 1}).contiguous();
  return factor;
}

}  // namespace vernier::calib

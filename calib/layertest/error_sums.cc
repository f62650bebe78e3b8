#include "calib/layertest/error_sums.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace vernier::calib {
namespace {

// Values that exist in F64 at once, of each side.
constexpr int64_t kValuesAtOnce = int64_t{1} << 22;

}  // namespace

void ErrorSums::Add(const at::Tensor& reference, const at::Tensor& other) {
  assert(reference.sizes() == other.sizes() && reference.dim() == 2);
  const int64_t rows = reference.size(0);
  if (rows == 0) return;
  if (!sums_.defined()) {
    const auto options = reference.options().dtype(at::kDouble);
    sums_ = at::zeros({4}, options);
    largest_ = at::zeros({}, options);
  }
  const int64_t step =
      std::max<int64_t>(1, kValuesAtOnce / std::max<int64_t>(1, reference.size(1)));
  for (int64_t first = 0; first < rows; first += step) {
    const at::Tensor y = reference.slice(0, first, first + step).to(at::kDouble);
    const at::Tensor z = other.slice(0, first, first + step).to(at::kDouble);
    const at::Tensor error = y - z;
    sums_ = sums_ +
            at::stack({(y * z).sum(), y.square().sum(), z.square().sum(), error.square().sum()});
    largest_ = at::maximum(largest_, error.abs().max());
  }
  rows_ += rows;
}

std::optional<ErrorStats> ErrorSums::Stats() const {
  if (rows_ == 0) return std::nullopt;
  const at::Tensor host = sums_.cpu();
  const auto sum = host.accessor<double, 1>();
  const double product = sum[0], reference = sum[1], other = sum[2], error = sum[3];
  ErrorStats stats{.rows = rows_, .max_abs_error = largest_.item<double>()};
  if (error == 0) return stats;
  const double norms = std::sqrt(reference) * std::sqrt(other);
  stats.cosine = norms > 0 ? product / norms : 0;
  stats.relative_error = std::sqrt(error / reference);
  stats.sqnr_db = 10 * std::log10(reference / error);
  return stats;
}

StageErrors VariantSums::Errors() const {
  const auto of = [&](Variant variant) { return sums_[static_cast<size_t>(variant)].Stats(); };
  return {.weights = of(Variant::kWeights),
          .activations = of(Variant::kActivations),
          .both = of(Variant::kBoth)};
}

}  // namespace vernier::calib

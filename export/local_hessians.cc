#include "export/local_hessians.h"

#include <algorithm>
#include <cmath>

namespace vernier::exporter {
namespace {

constexpr size_t kBlock = statistics::InputBlockHessian::kBlock;
constexpr size_t kTriangle = statistics::InputBlockHessian::kTriangle;

double Largest(const std::vector<double>& values) {
  double largest = 0;
  for (const double value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

// A triangle row by row, over `unit`, as a whole matrix.
void Unfold(const double* triangle, double unit, float* matrix) {
  for (size_t i = 0; i < kBlock; ++i) {
    for (size_t j = i; j < kBlock; ++j) {
      matrix[i * kBlock + j] = matrix[j * kBlock + i] = static_cast<float>(*triangle++ / unit);
    }
  }
}

}  // namespace

LocalHessians::LocalHessians(const checkpoint::ModelLayout& layout, const recipes::Plan& plan,
                             const run::Store& store)
    : sums_(layout, plan, store, [](const recipes::WeightPlan& weight) {
        return weight.scale == recipes::ScaleMethod::kLocalHessian ||
               weight.scale == recipes::ScaleMethod::kGptq;
      }) {}

std::vector<float> LocalHessians::Of(const checkpoint::LogicalWeight& weight) const {
  const std::vector<double> means = sums_.MeansOf(weight);
  const double unit = Largest(means);
  if (unit == 0) return {};
  const size_t blocks = means.size() / kTriangle;
  std::vector<float> matrices(blocks * kBlock * kBlock);
  for (size_t b = 0; b < blocks; ++b) {
    Unfold(means.data() + b * kTriangle, unit, matrices.data() + b * kBlock * kBlock);
  }
  return matrices;
}

}  // namespace vernier::exporter

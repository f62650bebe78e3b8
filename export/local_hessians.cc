#include "export/local_hessians.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"
#include "run/statistic_rows.h"

namespace vernier::exporter {
namespace {

const std::string kName(statistics::InputBlockHessian::kName);
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

// A calibration of a program that did not observe them has none of any module.
void RequireObserved(const checkpoint::ModelLayout& layout, const recipes::Plan& plan,
                     const run::Store& store) {
  const bool asked = std::ranges::any_of(plan.observed_modules, [&](const std::string& module) {
    return recipes::IsScaledBy(recipes::ScaleMethod::kLocalHessian, layout, plan, module);
  });
  if (!asked || run::CountStatistics(store.database()).contains(kName)) return;
  throw Error(ErrorCode::kNotCalibrated, store.run_dir().string(),
              "an older program calibrated it, without the local Hessians that local_hessian needs",
              "Calibrate again in another run directory, or use the scale \"mse\"");
}

}  // namespace

LocalHessians::LocalHessians(const checkpoint::ModelLayout& layout, const recipes::Plan& plan,
                             const run::Store& store)
    : sums_(layout, plan, store, [](const recipes::WeightPlan& weight) {
        return weight.scale == recipes::ScaleMethod::kLocalHessian ||
               weight.scale == recipes::ScaleMethod::kGptq;
      }) {
  RequireObserved(layout, plan, store);
}

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

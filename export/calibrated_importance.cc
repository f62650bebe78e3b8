#include "export/calibrated_importance.h"

#include <algorithm>

namespace vernier::exporter {

std::vector<float> CalibratedImportance::Of(const checkpoint::LogicalWeight& weight) const {
  const std::vector<double> means = sums_.MeansOf(weight);
  const double largest = means.empty() ? 0 : std::ranges::max(means);
  if (largest == 0) return {};
  std::vector<float> scaled(means.size());
  std::ranges::transform(means, scaled.begin(),
                         [&](double mean) { return static_cast<float>(mean / largest); });
  return scaled;
}

}  // namespace vernier::exporter

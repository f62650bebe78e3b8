#include "audit/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vernier::audit {

void ErrorStatistics::Merge(const ErrorStatistics& other) {
  weights += other.weights;
  exact += other.exact;
  values += other.values;
  saturated += other.saturated;
  squared_error += other.squared_error;
  squared_source += other.squared_source;
  max_abs_error = std::max(max_abs_error, other.max_abs_error);
}

double ErrorStatistics::RelativeError() const {
  if (squared_error == 0) return 0;
  if (squared_source == 0) return std::numeric_limits<double>::infinity();
  return std::sqrt(squared_error / squared_source);
}

double ErrorStatistics::SqnrDb() const {
  if (squared_error == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(squared_source / squared_error);
}

double ErrorStatistics::SaturatedShare() const {
  return values == 0 ? 0 : static_cast<double>(saturated) / static_cast<double>(values);
}

void BlockStatistics::Merge(const BlockStatistics& other) {
  blocks += other.blocks;
  for (int i = 0; i < kExponents; ++i) by_exponent[i] += other.by_exponent[i];
  at_maximum += other.at_maximum;
  zero_blocks += other.zero_blocks;
}

Distribution DistributionOf(std::span<const float> values) {
  if (values.empty()) return {};
  std::vector<float> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&](double share) {
    const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(sorted.size())));
    return double{sorted[std::max<size_t>(rank, 1) - 1]};
  };
  return {static_cast<int64_t>(sorted.size()), at(0), at(0.25), at(0.5), at(0.75), at(1)};
}

}  // namespace vernier::audit

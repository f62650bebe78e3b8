#include "checkpoint/rescaling.h"

#include <algorithm>
#include <cmath>

namespace vernier::checkpoint {

void Rescaling::Apply(int64_t row_begin, int64_t columns, std::span<float> values) const {
  const auto width = static_cast<size_t>(columns);
  for (size_t row = 0; row * width < values.size(); ++row) {
    const std::span<float> row_values = values.subspan(row * width, width);
    if (!row_divisors.empty()) {
      const float divisor = row_divisors[static_cast<size_t>(row_begin) + row];
      for (float& value : row_values) {
        value = added == 0 ? value / divisor : (value + added) / divisor - added;
      }
    }
    if (column_factors.empty()) continue;
    for (size_t column = 0; column < width; ++column) row_values[column] *= column_factors[column];
  }
}

bool AreFactors(std::span<const float> scales) {
  return std::ranges::all_of(scales, [](float scale) { return std::isnormal(scale) && scale > 0; });
}

std::vector<float> ColumnFactors(const Fold& fold, std::span<const float> scales) {
  std::vector<float> factors(static_cast<size_t>(fold.columns()));
  for (size_t column = 0; column < factors.size(); ++column) {
    factors[column] = scales[static_cast<size_t>(fold.ChannelOf(static_cast<int64_t>(column)))];
  }
  return factors;
}

}  // namespace vernier::checkpoint

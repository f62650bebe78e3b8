#include "tests/support/squared_error.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace vernier::testing {

void SquaredError::Add(std::span<const float> originals, std::span<const float> values) {
  ASSERT_EQ(originals.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const double original = originals[i];
    const double difference = double{values[i]} - original;
    error += difference * difference;
    power += original * original;
    largest = std::max(largest, std::fabs(difference));
  }
}

SquaredError SquaredErrorOf(std::span<const float> originals, std::span<const float> values) {
  SquaredError sums;
  sums.Add(originals, values);
  return sums;
}

}  // namespace vernier::testing

// How far values are from those that they stand for.
#ifndef VERNIER_TESTS_SUPPORT_SQUARED_ERROR_H_
#define VERNIER_TESTS_SUPPORT_SQUARED_ERROR_H_

#include <span>

namespace vernier::testing {

// Sums over all values added so far.
struct SquaredError {
  double error = 0;    // of (value - original)^2
  double power = 0;    // of original^2
  double largest = 0;  // |value - original|

  // Fails the test when the sizes differ.
  void Add(std::span<const float> originals, std::span<const float> values);

  // ||value - original||^2 / ||original||^2
  double Relative() const { return error / power; }
};

SquaredError SquaredErrorOf(std::span<const float> originals, std::span<const float> values);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_SUPPORT_SQUARED_ERROR_H_

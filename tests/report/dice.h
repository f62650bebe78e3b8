// Random numbers that are the same on every platform.
#ifndef VERNIER_TESTS_REPORT_DICE_H_
#define VERNIER_TESTS_REPORT_DICE_H_

#include <cmath>
#include <random>

namespace vernier::testing {

class Dice {
 public:
  // Even over (0, 1).
  double Even() { return (static_cast<double>(generator_() % 1000003) + 0.5) / 1000003; }
  // Log-even between `low` and `high`.
  double Log(double low, double high) { return low * std::pow(high / low, Even()); }

 private:
  std::mt19937 generator_{7};
};

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_REPORT_DICE_H_

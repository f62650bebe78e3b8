// A statistic that no program has: the sum of squares of each channel in F32 [K], by Observe and
// Join and not as a sum. It shows what one file through the interface of calib/statistics/ brings
// along.
#ifndef VERNIER_TESTS_SUPPORT_MADE_UP_STATISTIC_H_
#define VERNIER_TESTS_SUPPORT_MADE_UP_STATISTIC_H_

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "calib/statistics/registry.h"

namespace vernier::testing {

struct SquareSums {
  using Element = float;
  static constexpr std::string_view kName = "square_sums";
  static constexpr int kVersion = 3;
  static constexpr statistics::Site kSite = statistics::Site::kLinearInput;
  static constexpr statistics::Precision kPrecision = statistics::Precision::kF32;
  static constexpr std::string_view kTensor = "square_sums";
  static constexpr std::string_view kTokens = "square_sums.tokens";

  template <class Tensor>
  static Tensor Observe(const Tensor& x) {
    return x.square().sum(0);
  }
  template <class Tensor>
  static Tensor Join(const Tensor& a, const Tensor& b) {
    return a + b;
  }

  static std::optional<std::vector<int64_t>> Shape(size_t elements) {
    if (elements == 0) return std::nullopt;
    return std::vector<int64_t>{static_cast<int64_t>(elements)};
  }
  static std::vector<float> Nothing() { return {}; }
  static void Merge(statistics::Observed<float>& into, const statistics::Observed<float>& other) {
    for (size_t i = 0; i < into.elements.size(); ++i) into.elements[i] += other.elements[i];
  }
  static double Change(const statistics::Observed<float>& a, const statistics::Observed<float>& b) {
    double change = 0;
    for (size_t i = 0; i < a.elements.size(); ++i) {
      change = std::max(change, statistics::RelativeChange(a.elements[i], b.elements[i]));
    }
    return change;
  }
  static std::string Text(const statistics::Observed<float>& value) {
    return fmt::format("sum {}", Sum(value));
  }
  static Json Fields(const statistics::Observed<float>& value) { return {{"sum", Sum(value)}}; }

  static float Sum(const statistics::Observed<float>& value) {
    return std::accumulate(value.elements.begin(), value.elements.end(), 0.0F);
  }
};

// Every statistic that there is, and this one.
inline statistics::Registry WithSquareSums() {
  static constexpr std::array kStatistics = {
      statistics::Describe<statistics::InputAmax>(), statistics::Describe<statistics::CacheAmax>(),
      statistics::Describe<statistics::InputSquareSum>(), statistics::Describe<SquareSums>()};
  return kStatistics;
}

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_SUPPORT_MADE_UP_STATISTIC_H_

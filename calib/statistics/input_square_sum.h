// Sums of squares of each channel of a linear layer's input, F64 [K]: over its tokens they are
// E[x^2], what the squared error of a weight in that channel costs.
#ifndef VERNIER_CALIB_STATISTICS_INPUT_SQUARE_SUM_H_
#define VERNIER_CALIB_STATISTICS_INPUT_SQUARE_SUM_H_

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "calib/statistics/statistic.h"

namespace vernier::statistics {

// A sum: added to row by row (calib/square_sums.h), in F64, where the square of every finite F32
// has room. Of several groups the rows of all groups count.
struct InputSquareSum {
  using Element = double;
  static constexpr std::string_view kName = "input_square_sum";
  static constexpr int kVersion = 1;
  static constexpr Site kSite = Site::kLinearInput;
  static constexpr bool kIsSum = true;
  static constexpr std::string_view kTensor = "input_square_sum";
  static constexpr std::string_view kTokens = "input_square_sum.tokens";

  static std::optional<std::vector<int64_t>> Shape(size_t elements) {
    if (elements == 0) return std::nullopt;
    return std::vector<int64_t>{static_cast<int64_t>(elements)};
  }
  static std::vector<double> Nothing() { return {}; }
  static void Merge(Observed<double>& into, const Observed<double>& other) {
    for (size_t i = 0; i < into.elements.size(); ++i) into.elements[i] += other.elements[i];
  }
  // Of E[x^2]: the distances of all channels over the larger of both in each.
  static double Change(const Observed<double>& a, const Observed<double>& b) {
    const std::vector<double> x = MeanSquares(a), y = MeanSquares(b);
    double distance = 0, larger = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      distance += std::abs(x[i] - y[i]);
      larger += std::max(x[i], y[i]);
    }
    return larger == 0 ? 0 : distance / larger;
  }
  static std::string Text(const Observed<double>& value) {
    return fmt::format("mean square {:g}", MeanSquare(value));
  }
  static Json Fields(const Observed<double>& value) {
    return {{"channels", value.elements.size()}, {"mean_square", MeanSquare(value)}};
  }

  // E[x^2] of each channel; zeros over no tokens.
  static std::vector<double> MeanSquares(const Observed<double>& value) {
    std::vector<double> means = value.elements;
    const double tokens = static_cast<double>(std::max<int64_t>(value.tokens, 1));
    for (double& mean : means) mean /= tokens;
    return means;
  }
  // Its mean over all channels.
  static double MeanSquare(const Observed<double>& value) {
    if (value.elements.empty()) return 0;
    const std::vector<double> means = MeanSquares(value);
    return std::accumulate(means.begin(), means.end(), 0.0) / static_cast<double>(means.size());
  }
};

}  // namespace vernier::statistics

#endif  // VERNIER_CALIB_STATISTICS_INPUT_SQUARE_SUM_H_

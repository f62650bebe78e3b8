// Sums of squares of each channel of a linear layer's input, F64 [K]: over its tokens they are
// E[x^2], what the squared error of a weight in that channel costs.
#ifndef VERNIER_CALIB_STATISTICS_INPUT_SQUARE_SUM_H_
#define VERNIER_CALIB_STATISTICS_INPUT_SQUARE_SUM_H_

#include <fmt/format.h>

#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "calib/statistics/sum_over_rows.h"

namespace vernier::statistics {

// A sum: added to row by row (calib/square_sums.h), in F64, where the square of every finite F32
// has room. Of several groups the rows of all groups count.
struct InputSquareSum : SumOverRows<double> {
  static constexpr std::string_view kName = "input_square_sum";
  static constexpr int kVersion = 1;
  static constexpr Purpose kPurpose = Purpose::kMse;
  static constexpr std::string_view kTensor = "input_square_sum";
  static constexpr std::string_view kTokens = "input_square_sum.tokens";

  static constexpr size_t Elements(size_t columns) { return columns; }
  static std::optional<std::vector<int64_t>> Shape(size_t elements) {
    if (elements == 0) return std::nullopt;
    return std::vector<int64_t>{static_cast<int64_t>(elements)};
  }
  static std::string Text(const Observed<double>& value) {
    return fmt::format("mean square {:g}", MeanSquare(value));
  }
  static Json Fields(const Observed<double>& value) {
    return {{"channels", value.elements.size()}, {"mean_square", MeanSquare(value)}};
  }

 private:
  // E[x^2], its mean over all channels.
  static double MeanSquare(const Observed<double>& value) {
    if (value.elements.empty()) return 0;
    const std::vector<double> means = Means(value);
    return std::accumulate(means.begin(), means.end(), 0.0) / static_cast<double>(means.size());
  }
};

}  // namespace vernier::statistics

#endif  // VERNIER_CALIB_STATISTICS_INPUT_SQUARE_SUM_H_

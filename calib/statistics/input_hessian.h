// The sum of outer products x x^T of a linear layer's input, F32 [K, K]: over its tokens the
// Hessian E[x x^T] of the squared error of its output.
#ifndef VERNIER_CALIB_STATISTICS_INPUT_HESSIAN_H_
#define VERNIER_CALIB_STATISTICS_INPUT_HESSIAN_H_

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "calib/statistics/sum_over_rows.h"

namespace vernier::statistics {

// Its upper triangle counts; below stands part of the same, or 0. Of all tokens but those of
// InputSample. Of no use once its weight is solved, so that no finished layer has one.
struct InputHessian : SumOverRows<float> {
  static constexpr std::string_view kName = "input_hessian";
  static constexpr int kVersion = 1;
  static constexpr Purpose kPurpose = Purpose::kGptq;
  static constexpr std::string_view kTensor = "input_hessian";
  static constexpr std::string_view kTokens = "input_hessian.tokens";

  static constexpr size_t Elements(size_t columns) { return columns * columns; }
  static size_t Columns(size_t elements) {
    return static_cast<size_t>(std::llround(std::sqrt(static_cast<double>(elements))));
  }
  static std::optional<std::vector<int64_t>> Shape(size_t elements) {
    const size_t columns = Columns(elements);
    if (elements == 0 || columns * columns != elements) return std::nullopt;
    return std::vector<int64_t>(2, static_cast<int64_t>(columns));
  }
  static std::string Text(const Observed<float>& value) {
    return fmt::format("of {} channels", Columns(value.elements.size()));
  }
  static Json Fields(const Observed<float>& value) {
    return {{"channels", Columns(value.elements.size())}};
  }
};

}  // namespace vernier::statistics

#endif  // VERNIER_CALIB_STATISTICS_INPUT_HESSIAN_H_

// Sums of outer products x_b x_b^T of each block b of 16 channels of a linear layer's input, F32
// [K / 16, 136]: a block's upper triangle row by row. Over its tokens they are its local Hessian
// E[x_b x_b^T]: an error e of a row's 16 weights costs e^T H e of the row's output.
#ifndef VERNIER_CALIB_STATISTICS_INPUT_BLOCK_HESSIAN_H_
#define VERNIER_CALIB_STATISTICS_INPUT_BLOCK_HESSIAN_H_

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "calib/statistics/sum_over_rows.h"

namespace vernier::statistics {

// A sum: added to row by row (calib/block_hessians.h). There is none where 16 does not divide K. Of
// several groups the rows of all groups count.
struct InputBlockHessian : SumOverRows<float> {
  static constexpr std::string_view kName = "input_block_hessian";
  static constexpr int kVersion = 1;
  static constexpr Purpose kPurpose = Purpose::kLocalHessian;
  static constexpr std::string_view kTensor = "input_block_hessian";
  static constexpr std::string_view kTokens = "input_block_hessian.tokens";

  static constexpr size_t kBlock = 16, kTriangle = kBlock * (kBlock + 1) / 2;

  static constexpr size_t Elements(size_t columns) {
    return columns % kBlock == 0 ? columns / kBlock * kTriangle : 0;
  }
  static std::optional<std::vector<int64_t>> Shape(size_t elements) {
    if (elements == 0 || elements % kTriangle != 0) return std::nullopt;
    return std::vector<int64_t>{static_cast<int64_t>(elements / kTriangle),
                                static_cast<int64_t>(kTriangle)};
  }
  static std::string Text(const Observed<float>& value) {
    return fmt::format("mean square {:g} in {} blocks", MeanDiagonal(value), Blocks(value));
  }
  static Json Fields(const Observed<float>& value) {
    return {{"blocks", Blocks(value)}, {"mean_square", MeanDiagonal(value)}};
  }

 private:
  static size_t Blocks(const Observed<float>& value) { return value.elements.size() / kTriangle; }
  // E[x^2], its mean over all channels.
  static double MeanDiagonal(const Observed<float>& value) {
    if (value.elements.empty()) return 0;
    const std::vector<double> means = Means(value);
    double sum = 0;
    for (size_t at = 0; at < means.size(); at += kTriangle) {
      for (size_t i = 0, row = at; i < kBlock; row += kBlock - i++) sum += means[row];
    }
    return sum / static_cast<double>(Blocks(value) * kBlock);
  }
};

}  // namespace vernier::statistics

#endif  // VERNIER_CALIB_STATISTICS_INPUT_BLOCK_HESSIAN_H_

// Some rows of a linear layer's input, F32 [256, K]: every 33rd one. What is made of all others can
// be tried on them.
#ifndef VERNIER_CALIB_STATISTICS_INPUT_SAMPLE_H_
#define VERNIER_CALIB_STATISTICS_INPUT_SAMPLE_H_

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "calib/statistics/sum_over_rows.h"

namespace vernier::statistics {

// Row s is row number 33 * s + 32, and 0 where there were fewer: a number that shares no factor
// with how many groups of a token make rows. Of no use once its weight is solved and its fold
// chosen, so that no finished layer has one.
struct InputSample : SumOverRows<float> {
  static constexpr std::string_view kName = "input_sample";
  static constexpr int kVersion = 1;
  static constexpr Purpose kPurpose = Purpose::kSample;
  static constexpr std::string_view kTensor = "input_sample";
  static constexpr std::string_view kTokens = "input_sample.tokens";

  static constexpr int64_t kRows = 256, kEvery = 33;
  // Whether a token is one of them, by its number; and how many of the first `tokens` are.
  static constexpr bool Has(int64_t token) {
    return token % kEvery == kEvery - 1 && token < kRows * kEvery;
  }
  static constexpr int64_t CountOf(int64_t tokens) { return std::min(kRows, tokens / kEvery); }

  static constexpr size_t Elements(size_t columns) { return kRows * columns; }
  static std::optional<std::vector<int64_t>> Shape(size_t elements) {
    if (elements == 0 || elements % kRows != 0) return std::nullopt;
    return std::vector<int64_t>{kRows, static_cast<int64_t>(elements / kRows)};
  }
  static std::string Text(const Observed<float>& value) {
    return fmt::format("{} rows", CountOf(value.tokens));
  }
  static Json Fields(const Observed<float>& value) { return {{"rows", CountOf(value.tokens)}}; }
};

}  // namespace vernier::statistics

#endif  // VERNIER_CALIB_STATISTICS_INPUT_SAMPLE_H_

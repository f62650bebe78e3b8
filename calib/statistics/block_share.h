// How much of the hidden states behind a block (attention, or an FFN) is its own work: the sum over
// tokens of |after - before|^2 / |after|^2, in steps of 2^-20: I64.
#ifndef VERNIER_CALIB_STATISTICS_BLOCK_SHARE_H_
#define VERNIER_CALIB_STATISTICS_BLOCK_SHARE_H_

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "calib/statistics/statistic.h"

namespace vernier::statistics {

// Over its tokens the mean share: what an error of the block's output, relative to the output, is
// relative to the hidden states. A sum of integers, so that it does not matter how tokens come.
struct BlockShare {
  using Element = int64_t;
  static constexpr std::string_view kName = "block_share";
  static constexpr int kVersion = 1;
  static constexpr Site kSite = Site::kBlock;
  static constexpr std::string_view kTensor = "block_share";
  static constexpr std::string_view kTokens = "tokens";

  static constexpr double kSteps = 1 << 20, kLargest = 4;

  static std::optional<std::vector<int64_t>> Shape(size_t elements) {
    if (elements != 1) return std::nullopt;
    return std::vector<int64_t>();
  }
  static std::vector<int64_t> Nothing() { return {0}; }
  static void Merge(Observed<int64_t>& into, const Observed<int64_t>& other) {
    into.elements[0] += other.elements[0];
  }
  static double Change(const Observed<int64_t>& a, const Observed<int64_t>& b) {
    return RelativeChange(Mean(a), Mean(b));
  }
  static std::string Text(const Observed<int64_t>& value) {
    return fmt::format("{:g}", Mean(value));
  }
  static Json Fields(const Observed<int64_t>& value) { return {{"share", Mean(value)}}; }

  // 0 over no tokens.
  static double Mean(const Observed<int64_t>& value) {
    if (value.tokens == 0 || value.elements.empty()) return 0;
    return static_cast<double>(value.elements[0]) / kSteps / static_cast<double>(value.tokens);
  }
};

}  // namespace vernier::statistics

#endif  // VERNIER_CALIB_STATISTICS_BLOCK_SHARE_H_

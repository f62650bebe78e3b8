// The largest absolute value of a linear layer's input: one F32.
#ifndef VERNIER_CALIB_STATISTICS_INPUT_AMAX_H_
#define VERNIER_CALIB_STATISTICS_INPUT_AMAX_H_

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "calib/statistics/statistic.h"

namespace vernier::statistics {

struct InputAmax {
  using Element = float;
  static constexpr std::string_view kName = "input_amax";
  static constexpr int kVersion = 1;
  static constexpr Site kSite = Site::kLinearInput;
  static constexpr Precision kPrecision = Precision::kCompute;  // a maximum is exact in any
  static constexpr std::string_view kTensor = "input_amax";
  static constexpr std::string_view kTokens = "tokens";

  template <class Tensor>
  static Tensor Observe(const Tensor& x) {
    // One pass and no copy: on a GPU one kernel, on a CPU the norm is the slower one. Both keep
    // NaN.
    if (!x.is_cpu()) return x.norm(std::numeric_limits<double>::infinity());
    const auto [least, most] = x.aminmax();
    return maximum(least.neg(), most).abs();
  }
  // maximum keeps a NaN, whichever side it is on.
  template <class Tensor>
  static Tensor Join(const Tensor& a, const Tensor& b) {
    return maximum(a, b);
  }

  static std::optional<std::vector<int64_t>> Shape(size_t elements) {
    if (elements != 1) return std::nullopt;
    return std::vector<int64_t>();
  }
  static std::vector<float> Nothing() { return {0}; }
  static void Merge(Observed<float>& into, const Observed<float>& other) {
    into.elements[0] = std::max(into.elements[0], other.elements[0]);
  }
  static double Change(const Observed<float>& a, const Observed<float>& b) {
    return RelativeChange(a.elements[0], b.elements[0]);
  }
  static std::string Text(const Observed<float>& value) { return fmt::format("{}", Amax(value)); }
  static Json Fields(const Observed<float>& value) { return {{"amax", Amax(value)}}; }

  // 0 without elements.
  static float Amax(const Observed<float>& value) {
    return value.elements.empty() ? 0 : value.elements[0];
  }
};

}  // namespace vernier::statistics

#endif  // VERNIER_CALIB_STATISTICS_INPUT_AMAX_H_

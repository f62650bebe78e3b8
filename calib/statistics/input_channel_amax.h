// The largest absolute value of each channel of a linear layer's input: F32 [K]. Divided by the
// factors of a fold, the largest of them is what the input's is behind the fold.
#ifndef VERNIER_CALIB_STATISTICS_INPUT_CHANNEL_AMAX_H_
#define VERNIER_CALIB_STATISTICS_INPUT_CHANNEL_AMAX_H_

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "calib/statistics/statistic.h"

namespace vernier::statistics {

struct InputChannelAmax {
  using Element = float;
  static constexpr std::string_view kName = "input_channel_amax";
  static constexpr int kVersion = 1;
  static constexpr Site kSite = Site::kLinearInput;
  static constexpr Purpose kPurpose = Purpose::kFold;
  static constexpr Precision kPrecision = Precision::kCompute;  // a maximum is exact in any
  static constexpr std::string_view kTensor = "input_channel_amax";
  static constexpr std::string_view kTokens = "input_channel_amax.tokens";

  template <class Tensor>
  static Tensor Observe(const Tensor& x) {
    return x.abs().amax(0);
  }
  template <class Tensor>
  static Tensor Join(const Tensor& a, const Tensor& b) {
    return maximum(a, b);
  }

  static std::optional<std::vector<int64_t>> Shape(size_t elements) {
    return std::vector<int64_t>{static_cast<int64_t>(elements)};
  }
  static std::vector<float> Nothing() { return {}; }
  static void Merge(Observed<float>& into, const Observed<float>& other) {
    std::ranges::transform(into.elements, other.elements, into.elements.begin(),
                           [](float a, float b) { return std::max(a, b); });
  }
  static double Change(const Observed<float>& a, const Observed<float>& b) {
    double change = 0;
    for (size_t i = 0; i < a.elements.size(); ++i) {
      change = std::max(change, RelativeChange(a.elements[i], b.elements[i]));
    }
    return change;
  }
  static std::string Text(const Observed<float>& value) {
    return fmt::format("amax {} of {} channels", Largest(value), value.elements.size());
  }
  static Json Fields(const Observed<float>& value) {
    return {{"channels", value.elements.size()}, {"amax", Largest(value)}};
  }

 private:
  static float Largest(const Observed<float>& value) {
    return value.elements.empty() ? 0 : *std::ranges::max_element(value.elements);
  }
};

}  // namespace vernier::statistics

#endif  // VERNIER_CALIB_STATISTICS_INPUT_CHANNEL_AMAX_H_

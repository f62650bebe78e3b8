// What statistics that are sums over rows have in common.
#ifndef VERNIER_CALIB_STATISTICS_SUM_OVER_ROWS_H_
#define VERNIER_CALIB_STATISTICS_SUM_OVER_ROWS_H_

#include <algorithm>
#include <cmath>
#include <vector>

#include "calib/statistics/statistic.h"

namespace vernier::statistics {

// A base of such a statistic.
template <class Number>
struct SumOverRows {
  using Element = Number;
  static constexpr Site kSite = Site::kLinearInput;
  static constexpr bool kIsSum = true;

  static std::vector<Element> Nothing() { return {}; }
  static void Merge(Observed<Element>& into, const Observed<Element>& other) {
    for (size_t i = 0; i < into.elements.size(); ++i) into.elements[i] += other.elements[i];
  }
  // Of means: the distances of all elements over the larger of both in each.
  static double Change(const Observed<Element>& a, const Observed<Element>& b) {
    const std::vector<double> x = Means(a), y = Means(b);
    double distance = 0, larger = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      distance += std::abs(x[i] - y[i]);
      larger += std::max(std::abs(x[i]), std::abs(y[i]));
    }
    return larger == 0 ? 0 : distance / larger;
  }

  // Of each element over the tokens; zeros over no tokens.
  static std::vector<double> Means(const Observed<Element>& value) {
    std::vector<double> means(value.elements.begin(), value.elements.end());
    const double tokens = static_cast<double>(std::max<int64_t>(value.tokens, 1));
    for (double& mean : means) mean /= tokens;
    return means;
  }
};

}  // namespace vernier::statistics

#endif  // VERNIER_CALIB_STATISTICS_SUM_OVER_ROWS_H_

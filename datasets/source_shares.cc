#include "datasets/source_shares.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numeric>

namespace vernier::datasets {

std::vector<int64_t> DivideByWeight(int64_t total, std::span<const double> weights) {
  const double largest = *std::ranges::max_element(weights);
  assert(largest > 0 && std::isfinite(largest));
  // Relative to the largest weight, so that their sum cannot overflow.
  double sum = 0;
  for (const double weight : weights) sum += weight / largest;

  std::vector<int64_t> shares;
  std::vector<double> remainders;
  for (const double weight : weights) {
    const double exact = static_cast<double>(total) * (weight / largest / sum);
    shares.push_back(static_cast<int64_t>(exact));
    // A weight of 0 must not win a leftover sample.
    remainders.push_back(weight > 0 ? exact - std::floor(exact) : -1.0);
  }

  std::vector<size_t> order(weights.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater(), [&](size_t i) { return remainders[i]; });
  const int64_t left = total - std::accumulate(shares.begin(), shares.end(), int64_t{0});
  assert(left >= 0 && left <= static_cast<int64_t>(order.size()));
  for (int64_t i = 0; i < left; ++i) ++shares[order[static_cast<size_t>(i)]];
  return shares;
}

}  // namespace vernier::datasets

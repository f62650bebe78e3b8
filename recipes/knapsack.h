// One option of each item, so that sizes fit and the sum of costs is smallest.
#ifndef VERNIER_RECIPES_KNAPSACK_H_
#define VERNIER_RECIPES_KNAPSACK_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace vernier::recipes {

struct KnapsackOption {
  uint64_t size = 0;
  double cost = 0;
};
using KnapsackItem = std::vector<KnapsackOption>;  // the first has size 0

// The option of each item; of equally good ones those that come first. Exact where the sizes are
// multiples of 2^-16 of `room`; elsewhere each is rounded up to such a multiple, and what that
// leaves is spent on the best of what still fits.
std::vector<size_t> SolveKnapsack(std::span<const KnapsackItem> items, uint64_t room);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_KNAPSACK_H_

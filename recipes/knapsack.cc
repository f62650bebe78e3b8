#include "recipes/knapsack.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <numeric>
#include <optional>

#include "base/rounding.h"

namespace vernier::recipes {
namespace {

constexpr uint64_t kSteps = 1 << 16;

// What sizes are counted in.
uint64_t UnitOf(std::span<const KnapsackItem> items, uint64_t room) {
  uint64_t divisor = 0;
  for (const KnapsackItem& item : items) {
    for (const KnapsackOption& option : item) divisor = std::gcd(divisor, option.size);
  }
  return std::max({uint64_t{1}, divisor, CeilDivide(room, kSteps)});
}

// By dynamic programming over room in whole units.
std::vector<size_t> SolveInUnits(std::span<const KnapsackItem> items, uint64_t unit,
                                 uint64_t room) {
  const uint64_t steps = room / unit;
  std::vector<double> best(steps + 1, 0);  // the least cost within each room, of the items so far
  std::vector<std::vector<uint8_t>> chosen;
  for (const KnapsackItem& item : items) {
    assert(!item.empty() && item.front().size == 0);
    assert(item.size() <= std::numeric_limits<uint8_t>::max());
    std::vector<double> next(steps + 1, std::numeric_limits<double>::infinity());
    chosen.emplace_back(steps + 1, uint8_t{0});
    for (size_t o = 0; o < item.size(); ++o) {
      const uint64_t size = CeilDivide(item[o].size, unit);
      for (uint64_t at = size; at <= steps; ++at) {
        const double cost = best[at - size] + item[o].cost;
        if (!(cost < next[at])) continue;
        next[at] = cost;
        chosen.back()[at] = static_cast<uint8_t>(o);
      }
    }
    best = std::move(next);
  }
  std::vector<size_t> options(items.size());
  uint64_t left = steps;
  for (size_t i = items.size(); i-- > 0;) {
    options[i] = chosen[i][left];
    left -= CeilDivide(items[i][options[i]].size, unit);
  }
  return options;
}

struct Upgrade {
  size_t item = 0, option = 0;
  uint64_t size = 0;  // more than now
  double gain = 0;
};

// The one of the largest gain among those that fit.
std::optional<Upgrade> BestUpgrade(std::span<const KnapsackItem> items,
                                   const std::vector<size_t>& options, uint64_t room) {
  std::optional<Upgrade> best;
  for (size_t i = 0; i < items.size(); ++i) {
    const KnapsackOption& now = items[i][options[i]];
    for (size_t o = 0; o < items[i].size(); ++o) {
      const KnapsackOption& option = items[i][o];
      const uint64_t more = option.size > now.size ? option.size - now.size : 0;
      const double gain = now.cost - option.cost;
      if (more > room || !(gain > (best ? best->gain : 0))) continue;
      best = {i, o, more, gain};
    }
  }
  return best;
}

}  // namespace

std::vector<size_t> SolveKnapsack(std::span<const KnapsackItem> items, uint64_t room) {
  std::vector<size_t> options = SolveInUnits(items, UnitOf(items, room), room);
  uint64_t left = room;
  for (size_t i = 0; i < items.size(); ++i) left -= items[i][options[i]].size;
  while (const std::optional<Upgrade> upgrade = BestUpgrade(items, options, left)) {
    options[upgrade->item] = upgrade->option;
    left -= upgrade->size;
  }
  return options;
}

}  // namespace vernier::recipes

#include "recipes/knapsack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <vector>

namespace vernier::recipes {
namespace {

using ::testing::ElementsAre;

double CostOf(const std::vector<KnapsackItem>& items, const std::vector<size_t>& options) {
  double cost = 0;
  for (size_t i = 0; i < items.size(); ++i) cost += items[i][options[i]].cost;
  return cost;
}

uint64_t SizeOf(const std::vector<KnapsackItem>& items, const std::vector<size_t>& options) {
  uint64_t size = 0;
  for (size_t i = 0; i < items.size(); ++i) size += items[i][options[i]].size;
  return size;
}

// By trying everything.
double LeastCost(const std::vector<KnapsackItem>& items, size_t from, uint64_t room) {
  if (from == items.size()) return 0;
  double least = std::numeric_limits<double>::infinity();
  for (const KnapsackOption& option : items[from]) {
    if (option.size > room) continue;
    least = std::min(least, option.cost + LeastCost(items, from + 1, room - option.size));
  }
  return least;
}

std::vector<KnapsackItem> RandomItems(std::mt19937& random, size_t count, uint64_t unit) {
  std::vector<KnapsackItem> items;
  for (size_t i = 0; i < count; ++i) {
    KnapsackItem& item = items.emplace_back();
    const size_t options = 1 + random() % 3;
    for (size_t o = 0; o < options; ++o) {
      const uint64_t size = o == 0 ? 0 : unit * (1 + random() % 9);
      item.push_back({.size = size, .cost = static_cast<double>(random() % 1000)});
    }
  }
  return items;
}

TEST(Knapsack, FindsTheLeastCost) {
  std::mt19937 random(1);
  for (int i = 0; i < 200; ++i) {
    const std::vector<KnapsackItem> items = RandomItems(random, 7, 4096);
    const uint64_t room = random() % (40 * 4096);
    const std::vector<size_t> options = SolveKnapsack(items, room);
    EXPECT_LE(SizeOf(items, options), room);
    EXPECT_EQ(CostOf(items, options), LeastCost(items, 0, room));
  }
}

// Sizes that are no multiples of anything, and a room far beyond the steps.
TEST(Knapsack, NeverTakesMoreThanThereIs) {
  std::mt19937 random(2);
  for (int i = 0; i < 20; ++i) {
    std::vector<KnapsackItem> items = RandomItems(random, 6, uint64_t{1} << 40);
    for (KnapsackItem& item : items) {
      for (size_t o = 1; o < item.size(); ++o) item[o].size += random() % 1000;
    }
    const uint64_t room = (uint64_t{1} << 40) * (random() % 30);
    const std::vector<size_t> options = SolveKnapsack(items, room);
    EXPECT_LE(SizeOf(items, options), room);
    EXPECT_LE(CostOf(items, options), 1.25 * LeastCost(items, 0, room) + 1e-9);
  }
}

TEST(Knapsack, OfEqualOnesTheFirstAndOfNoRoomNone) {
  const std::vector<KnapsackItem> items = {{{0, 5}, {8, 5}}, {{0, 5}, {8, 1}}};
  EXPECT_THAT(SolveKnapsack(items, 100), ElementsAre(0, 1));
  EXPECT_THAT(SolveKnapsack(items, 0), ElementsAre(0, 0));
  EXPECT_THAT(SolveKnapsack({}, 10), ElementsAre());
}

}  // namespace
}  // namespace vernier::recipes

#include "run/statistic_diff.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace vernier::run {
namespace {

using Place = std::tuple<int, std::string, std::string>;  // in order of layers
using ByPlace = std::map<Place, StatisticKey>;

ByPlace Sorted(const Store& store) {
  ByPlace sorted;
  for (StatisticKey& key : ListStatistics(store.database())) {
    sorted.emplace(Place(key.unit, key.module, key.name), std::move(key));
  }
  return sorted;
}

std::vector<StatisticName> NamesMissingIn(const ByPlace& other, const ByPlace& statistics) {
  std::vector<StatisticName> names;
  for (const auto& [place, key] : statistics) {
    if (!other.contains(place)) names.push_back({key.module, key.name});
  }
  return names;
}

ModuleDifference Compare(const StatisticKey& key, const StatisticValue& first,
                         const StatisticValue& second) {
  const auto tokens = [](const StatisticValue& side) {
    return static_cast<double>(side.value.tokens);
  };
  return {.of = {key.module, key.name},
          .first = first.statistic.text(first.value),
          .second = second.statistic.text(second.value),
          .first_tokens = first.value.tokens,
          .second_tokens = second.value.tokens,
          .change = statistics::Change(first.statistic, first.value, second.value),
          .tokens_change = statistics::RelativeChange(tokens(first), tokens(second))};
}

}  // namespace

StatisticDiff DiffStatistics(const Store& first, const Store& second, double tolerance,
                             statistics::Registry registry) {
  const ByPlace a = Sorted(first), b = Sorted(second);
  StatisticDiff diff;
  diff.only_in_first = NamesMissingIn(b, a);
  diff.only_in_second = NamesMissingIn(a, b);
  for (const auto& [place, key] : a) {
    const auto other = b.find(place);
    if (other == b.end()) continue;
    ++diff.compared;
    ModuleDifference difference =
        Compare(key, ReadValue(first, key, registry), ReadValue(second, other->second, registry));
    if (std::max(difference.change, difference.tokens_change) <= tolerance) continue;
    diff.differing.push_back(std::move(difference));
  }
  return diff;
}

}  // namespace vernier::run

#include "calib/statistics/registry.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace vernier::statistics {

Registry AllStatistics() {
  static constexpr auto kAll = DescribeAll(All());
  return kAll;
}

const Statistic* FindStatistic(Registry registry, std::string_view name) {
  const auto found = std::ranges::find(registry, name, &Statistic::name);
  return found == registry.end() ? nullptr : &*found;
}

const Statistic& RequireStatistic(Registry registry, std::string_view name, int version,
                                  std::string_view origin) {
  const Statistic* statistic = FindStatistic(registry, name);
  if (statistic != nullptr && statistic->version == version) return *statistic;
  throw Error(
      ErrorCode::kStoreCorrupt, origin,
      fmt::format("it holds the statistic {} in version {}, which this program does not know", name,
                  version),
      "Use the version of Vernier that calibrated it, or a later one");
}

}  // namespace vernier::statistics

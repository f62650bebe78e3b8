// How the statistics of two stores differ.
#ifndef VERNIER_RUN_STATISTIC_DIFF_H_
#define VERNIER_RUN_STATISTIC_DIFF_H_

#include <cstdint>
#include <string>
#include <vector>

#include "calib/statistics/registry.h"
#include "run/store.h"

namespace vernier::run {

struct StatisticName {
  std::string module, name;

  bool operator==(const StatisticName&) const = default;
};

// A statistic of a module that both stores have.
struct ModuleDifference {
  StatisticName of;
  std::string first, second;  // the values, for people
  int64_t first_tokens = 0, second_tokens = 0;
  double change = 0;         // as the statistic compares, e.g. |a - b| / max(|a|, |b|)
  double tokens_change = 0;  // |a - b| / max(|a|, |b|)
};

struct StatisticDiff {
  int64_t compared = 0;                     // that both have
  std::vector<ModuleDifference> differing;  // by layer, module and name
  std::vector<StatisticName> only_in_first, only_in_second;

  bool Equal() const {
    return differing.empty() && only_in_first.empty() && only_in_second.empty();
  }
};

// Of finished layers. A statistic differs when one of its changes is larger than `tolerance` (>=
// 0). One value of each store is in memory at a time. kStoreCorrupt for a statistic that is not in
// `registry`: a newer program made it.
StatisticDiff DiffStatistics(const Store& first, const Store& second, double tolerance,
                             statistics::Registry registry = statistics::AllStatistics());

}  // namespace vernier::run

#endif  // VERNIER_RUN_STATISTIC_DIFF_H_

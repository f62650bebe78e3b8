// How the statistics of two stores differ.
#ifndef VERNIER_RUN_AMAX_DIFF_H_
#define VERNIER_RUN_AMAX_DIFF_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "run/store.h"

namespace vernier::run {

// A module that both stores have.
struct ModuleDifference {
  InputAmax first, second;
  double amax_change = 0;    // |a - b| / max(|a|, |b|)
  double tokens_change = 0;  // the same
};

struct AmaxDiff {
  int64_t modules = 0;                      // that both have
  std::vector<ModuleDifference> differing;  // by layer and module
  std::vector<std::string> only_in_first, only_in_second;

  bool Equal() const {
    return differing.empty() && only_in_first.empty() && only_in_second.empty();
  }
};

// A module differs when one of its changes is larger than `tolerance` (>= 0). Inputs in any order.
AmaxDiff DiffAmax(std::span<const InputAmax> first, std::span<const InputAmax> second,
                  double tolerance);

}  // namespace vernier::run

#endif  // VERNIER_RUN_AMAX_DIFF_H_

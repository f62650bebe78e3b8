// The largest of sums by layer, or by whatever else shares memory.
#ifndef VERNIER_CALIB_BUDGET_LARGEST_H_
#define VERNIER_CALIB_BUDGET_LARGEST_H_

#include <algorithm>
#include <cstdint>
#include <map>

namespace vernier::calib {

// 0 of none.
template <typename Key>
uint64_t Largest(const std::map<Key, uint64_t>& sums) {
  uint64_t largest = 0;
  for (const auto& [key, bytes] : sums) largest = std::max(largest, bytes);
  return largest;
}

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_BUDGET_LARGEST_H_

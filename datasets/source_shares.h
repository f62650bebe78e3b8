// How a number of samples is divided among weighted sources.
#ifndef VERNIER_DATASETS_SOURCE_SHARES_H_
#define VERNIER_DATASETS_SOURCE_SHARES_H_

#include <cstdint>
#include <span>
#include <vector>

namespace vernier::datasets {

// Shares of `total` in proportion to `weights` (finite, >= 0, one of them > 0), by the method of
// largest remainders; of equal remainders the earlier goes first. The shares add up to `total`, and
// a weight of 0 gets 0.
std::vector<int64_t> DivideByWeight(int64_t total, std::span<const double> weights);

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_SOURCE_SHARES_H_

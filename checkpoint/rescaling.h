// What folds make of a weight's values.
#ifndef VERNIER_CHECKPOINT_RESCALING_H_
#define VERNIER_CHECKPOINT_RESCALING_H_

#include <cstdint>
#include <span>
#include <vector>

#include "checkpoint/families/fold.h"

namespace vernier::checkpoint {

// Of one weight [N, K]; a vector has rows of one column.
struct Rescaling {
  std::vector<float> row_divisors;    // [N]; empty: all 1
  float added = 0;                    // rows are divided with it, and stored without
  std::vector<float> column_factors;  // [K]; empty: all 1

  bool empty() const { return row_divisors.empty() && column_factors.empty(); }
  // To the values [rows, columns] of rows from `row_begin` on: a row is divided, or becomes
  // (row + added) / divisor - added, then its columns are multiplied, in F32.
  void Apply(int64_t row_begin, int64_t columns, std::span<float> values) const;
};

// Whether all are positive normal numbers.
bool AreFactors(std::span<const float> scales);

// The factors of the columns of a fold's consumers, from those of its channels.
std::vector<float> ColumnFactors(const Fold& fold, std::span<const float> scales);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_RESCALING_H_

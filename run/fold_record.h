// The table `fold`: factors per channel that calibration chose, to move from what makes the input
// of linear layers into their weights.
#ifndef VERNIER_RUN_FOLD_RECORD_H_
#define VERNIER_RUN_FOLD_RECORD_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "run/sqlite.h"

namespace vernier::run {

extern const char kFoldTable[];

struct FoldRecord {
  std::string name;  // of the fold: the module that makes the input
  // Factors are the channels' root mean squares, over their geometric mean, to this power.
  double exponent = 0;
  int64_t tokens = 0;  // that the input was seen of
  // Mean squared errors of outputs on a sample of tokens: with these factors and without.
  double error = 0, other_error = 0;
  std::vector<float> scales;  // [channels]; empty: all 1
};

// Of finished units, or of one unit, finished or not; by name.
std::vector<FoldRecord> ListFolds(const Database& database);
std::vector<FoldRecord> FoldsOfUnit(const Database& database, int unit);

// Adds rows to those of `unit`, within the caller's transaction.
void AddFolds(const Database& database, int unit, std::span<const FoldRecord> folds);

// Removes those of unfinished units, within the caller's transaction.
void DeleteUnfinishedFolds(const Database& database);

}  // namespace vernier::run

#endif  // VERNIER_RUN_FOLD_RECORD_H_

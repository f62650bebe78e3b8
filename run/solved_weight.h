// The table `solved_weight`: weights that calibration quantised, because what that needs of inputs
// is too large to be kept. Their bytes lie in files that the rows name.
#ifndef VERNIER_RUN_SOLVED_WEIGHT_H_
#define VERNIER_RUN_SOLVED_WEIGHT_H_

#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "run/sqlite.h"
#include "run/value_file.h"

namespace vernier::run {

class Store;

extern const char kSolvedWeightTable[];

// The method of weights that GPTQ quantised.
inline constexpr std::string_view kGptqMethod = "gptq";

// What became of a weight.
struct SolvedWeight {
  std::string module;
  std::string method;      // "gptq"; of one that was left to the export: why
  float global_scale = 0;  // that the codes were made with
  int64_t tokens = 0;      // that its inputs were seen of
  // Mean squared errors of its outputs on tokens that it was not solved for: as it is, and as the
  // export would have made it.
  double error = 0, other_error = 0;
  // Codes, then block scales; none: left to the export. One that another method was better for has
  // its codes where the next layer had to see them (propagate).
  std::vector<std::byte> bytes;
};

// A row without its bytes, and where those are.
struct SolvedKey {
  int unit = 0;
  SolvedWeight weight;
  ValuePlace place;  // of no length where the weight has no bytes
};

// Of finished units, or of one unit, finished or not; by module.
std::vector<SolvedKey> ListSolvedWeights(const Database& database);
std::vector<SolvedKey> SolvedWeightsOfUnit(const Database& database, int unit);

// Those of finished units that GPTQ quantised.
int64_t CountSolvedWeights(const Database& database);

// kStoreCorrupt when the file that should hold the bytes is not there or has others. Of a key
// without bytes nothing is read.
std::vector<std::byte> ReadSolvedWeight(const Store& store, const SolvedKey& key);
void CheckSolvedWeight(const Store& store, const SolvedKey& key);

// Adds rows to those of `unit`, within the caller's transaction; their bytes are durable when it
// returns.
void AddSolvedWeights(const Store& store, int unit, std::span<const SolvedWeight> weights);

// Removes those of unfinished units, within the caller's transaction.
void DeleteUnfinishedSolvedWeights(const Database& database);

// The files that rows name.
std::set<std::string> SolvedWeightFiles(const Database& database);

}  // namespace vernier::run

#endif  // VERNIER_RUN_SOLVED_WEIGHT_H_

// The table `solved_weight`: weights that calibration quantised, because what that needs of inputs
// is too large to be kept. Their bytes lie in files that the rows name.
#ifndef VERNIER_RUN_SOLVED_WEIGHT_H_
#define VERNIER_RUN_SOLVED_WEIGHT_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
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
  // Codes, then block scales, in memory or in a file; neither: left to the export. One that another
  // method was better for has its codes where the next layer had to see them (propagate).
  std::vector<std::byte> bytes;
  ValuePlace place = {};

  bool HasBytes() const { return !bytes.empty() || place.length > 0; }
};

// Of finished units, or of one unit, finished or not, with the places of their bytes; by unit and
// module.
std::vector<SolvedWeight> ListSolvedWeights(const Database& database);
std::vector<SolvedWeight> SolvedWeightsOfUnit(const Database& database, int unit);

// Those of finished units that GPTQ quantised.
int64_t CountSolvedWeights(const Database& database);

// Of bytes in memory or in a file of `run_dir`; of none nothing is read. kStoreCorrupt when the
// file that should hold them is not there or has others.
std::vector<std::byte> ReadSolvedWeight(const std::filesystem::path& run_dir,
                                        const SolvedWeight& weight);
void CheckSolvedWeight(const std::filesystem::path& run_dir, const SolvedWeight& weight);

// Puts the bytes of weights of `unit` that are in memory into a file, durable when it returns.
// Until rows name it RemoveStaleFiles and RemoveStaleValues may remove it.
void WriteSolvedWeights(const std::filesystem::path& run_dir, int unit,
                        std::span<SolvedWeight> weights);

// Adds rows to those of `unit`, within the caller's transaction; their bytes are durable when it
// returns.
void AddSolvedWeights(const Store& store, int unit, std::span<const SolvedWeight> weights);

// Removes those of unfinished units, within the caller's transaction.
void DeleteUnfinishedSolvedWeights(const Database& database);

// The files that rows name.
std::set<std::string> SolvedWeightFiles(const Database& database);

}  // namespace vernier::run

#endif  // VERNIER_RUN_SOLVED_WEIGHT_H_

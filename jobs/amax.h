// Calibrated statistics as a file, compared, or merged.
#ifndef VERNIER_JOBS_AMAX_H_
#define VERNIER_JOBS_AMAX_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "run/statistic_diff.h"

namespace vernier::jobs {

// A run directory everywhere: or its store file.

// The statistics of a run as docs/store.md describes them.
Json ReadAmax(const std::filesystem::path& run);

// The same in a file that ends in .json or .safetensors (kBadArgument otherwise).
void WriteAmax(const std::filesystem::path& run, const std::filesystem::path& out);

struct AmaxDiffSpec {
  std::filesystem::path first, second;
  double tolerance = 0;  // change of value or tokens above which a statistic differs
};

struct AmaxDiffSummary {
  std::vector<std::string> identity;  // how the two calibrations differ
  run::StatisticDiff diff;
};

AmaxDiffSummary DiffAmax(const AmaxDiffSpec& spec);

struct AmaxMergeSpec {
  std::vector<std::filesystem::path> runs;  // over different data
  std::filesystem::path into;               // the new run directory
};

struct AmaxMergeSummary {
  int64_t statistics = 0;
  std::filesystem::path run_dir;
};

// What the statistics give together, such as the largest amax, and all tokens; errors as
// run::MergeStores.
AmaxMergeSummary MergeAmax(const AmaxMergeSpec& spec);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_AMAX_H_

// One calibration from several that ran over different data.
#ifndef VERNIER_RUN_MERGE_H_
#define VERNIER_RUN_MERGE_H_

#include <filesystem>
#include <vector>

#include "calib/statistics/registry.h"
#include "run/store.h"

namespace vernier::run {

// Fills the new run directory `into` with a finished store: what the statistics of `parents` (two
// or more) give together, e.g. the largest amax, and the sum of their tokens. Its identity has the
// fields on which they agree; of those that differ, a list of their values (MergeValues), so that
// an export takes the recipe of any parent. kMergedFrom lists the parents' fingerprints; of a
// parent that was merged itself, those in its list. The order of parents does not matter. A run
// directory that holds this very merge already is left as it is.
//
// Errors: kNotCalibrated (a parent is not finished), kStoreIdentity (parents differ in source,
// observed modules, numerics or dtype: side by side), kBadArgument (`into` holds something else, or
// a store is there twice: its tokens would count twice), kStoreCorrupt (a parent has a statistic
// that is not in `registry`: a newer program made it), and those of Store.
Store MergeStores(const std::vector<std::filesystem::path>& parents,
                  const std::filesystem::path& into,
                  statistics::Registry registry = statistics::AllStatistics());

}  // namespace vernier::run

#endif  // VERNIER_RUN_MERGE_H_

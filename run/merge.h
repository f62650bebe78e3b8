// One calibration from several that ran over different data.
#ifndef VERNIER_RUN_MERGE_H_
#define VERNIER_RUN_MERGE_H_

#include <filesystem>
#include <vector>

#include "run/store.h"

namespace vernier::run {

// Fills the new run directory `into` with a finished store: per module the largest amax and the sum
// of tokens of `parents` (two or more). Its identity has the fields on which they agree; of those
// that differ, a list of their values (MergeValues), so that an export takes the recipe of any
// parent. kMergedFrom lists the parents' fingerprints; of a parent that was merged itself, those in
// its list. The order of parents does not matter. A run directory that holds this very merge
// already is left as it is.
//
// Errors: kNotCalibrated (a parent is not finished), kStoreIdentity (parents differ in source,
// observed modules, numerics or dtype: side by side), kBadArgument (`into` holds something else, or
// a store is there twice: its tokens would count twice), and those of Store.
Store MergeStores(const std::vector<std::filesystem::path>& parents,
                  const std::filesystem::path& into);

}  // namespace vernier::run

#endif  // VERNIER_RUN_MERGE_H_

// The files beside the store in a run directory.
#ifndef VERNIER_RUN_RUN_FILES_H_
#define VERNIER_RUN_RUN_FILES_H_

#include <cstdint>
#include <filesystem>
#include <limits>
#include <set>
#include <string>

#include "run/store.h"

namespace vernier::run {

// Names of the files that a resume or an export reads: the newest activation checkpoint, the parts
// of an unfinished layer, and values that are too large for their rows.
std::set<std::string> NeededFiles(const Store& store);

// Removes all other files with hidden states or values; those with values of units behind `through`
// stay, which may be in the making.
void RemoveStaleFiles(const std::filesystem::path& run_dir, const std::set<std::string>& needed,
                      int through = std::numeric_limits<int>::max());
// Removes files with values that no row names: none may be in the making.
void RemoveStaleValues(const Store& store);

// Bytes of the files with hidden states or values.
uint64_t BytesOfFiles(const std::filesystem::path& run_dir);

}  // namespace vernier::run

#endif  // VERNIER_RUN_RUN_FILES_H_

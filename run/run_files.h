// The files beside the store in a run directory.
#ifndef VERNIER_RUN_RUN_FILES_H_
#define VERNIER_RUN_RUN_FILES_H_

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>

#include "run/store.h"

namespace vernier::run {

// Names of the files with hidden states that a resume reads: the newest activation checkpoint and
// the parts of an unfinished layer.
std::set<std::string> NeededFiles(const Store& store);

// Removes all other files with hidden states.
void RemoveStaleFiles(const std::filesystem::path& run_dir, const std::set<std::string>& needed);

// Bytes of the files with hidden states.
uint64_t BytesOfFiles(const std::filesystem::path& run_dir);

}  // namespace vernier::run

#endif  // VERNIER_RUN_RUN_FILES_H_

// Files with values of a run directory, for tests.
#ifndef VERNIER_TESTS_RUN_VALUE_FILES_H_
#define VERNIER_TESTS_RUN_VALUE_FILES_H_

#include <algorithm>
#include <filesystem>
#include <vector>

#include "run/value_file.h"

namespace vernier::run {

// By name.
inline std::vector<std::filesystem::path> ValueFiles(const std::filesystem::path& run_dir) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(run_dir)) {
    if (entry.path().extension() == kValueFileExtension) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace vernier::run

#endif  // VERNIER_TESTS_RUN_VALUE_FILES_H_

// Which Vernier this is.
#ifndef VERNIER_JOBS_BUILD_INFO_H_
#define VERNIER_JOBS_BUILD_INFO_H_

#include <string>
#include <vector>

#include "base/json.h"

namespace vernier::jobs {

// "0.1.0"
const char* Version();

struct BuildInfo {
  std::string version;
  std::string commit;                     // of the source tree; empty: unknown
  bool modified = false;                  // whether tracked files differed from it
  std::string libtorch;                   // the version it was built with; empty: without
  std::vector<std::string> simd_targets;  // that kernels are compiled for, the best first
  std::string simd_target;                // that they run on here
  std::string compiler;
};
BuildInfo ReadBuildInfo();

// The same fields; what is unknown or absent is null.
Json BuildJson();

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_BUILD_INFO_H_

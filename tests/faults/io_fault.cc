#include "tests/faults/io_fault.h"

#include <filesystem>
#include <fstream>
#include <map>

#include "tests/faults/io_shim.h"
#include "tests/support/temp_dir.h"

namespace vernier::testing {
namespace {

constexpr std::string_view kFailed = " FAILED";

ShimmedRun RunWith(const Job& job, std::map<std::string, std::string> environment) {
  const TempDir dir;
  const std::filesystem::path log = dir.path() / "calls";
  environment["LD_PRELOAD"] = VERNIER_IO_SHIM;
  environment["VERNIER_IO"] = "threads";
  environment[kShimRoot] = job.place.string();
  environment[kShimLog] = log.string();
  ShimmedRun run{.command = job.Run({.environment = environment})};
  std::ifstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    if (run.failed.empty() && line.ends_with(kFailed)) {
      run.failed = line.substr(0, line.size() - kFailed.size());
    }
    run.calls.push_back(line);
  }
  return run;
}

}  // namespace

ShimmedRun RunCounted(const Job& job) { return RunWith(job, {}); }

CommandResult RunUnsynced(const Job& job) {
  return job.Run({.environment = {{"LD_PRELOAD", VERNIER_IO_SHIM}, {kShimNoSync, "1"}}});
}

ShimmedRun RunWithFault(const Job& job, const IoFault& fault) {
  return RunWith(job, {{kShimFail, std::to_string(fault.number)},
                       {kShimErrno, std::to_string(fault.error)},
                       {kShimSticky, fault.sticky ? "1" : ""}});
}

}  // namespace vernier::testing

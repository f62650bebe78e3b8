#include "tools/build_text.h"

#include <fmt/format.h>

#include "base/text.h"
#include "jobs/build_info.h"

namespace vernier::tools {
namespace {

std::string CommitText(const jobs::BuildInfo& info) {
  if (info.commit.empty()) return "unknown";
  return info.modified ? info.commit + ", modified" : info.commit;
}

}  // namespace

std::string BuildText() {
  const jobs::BuildInfo info = jobs::ReadBuildInfo();
  return fmt::format(
      "vernier {}\n"
      "commit    {}\n"
      "libtorch  {}\n"
      "SIMD      {} of {}\n"
      "compiler  {}",
      info.version, CommitText(info),
      info.libtorch.empty() ? "without libtorch" : "built with " + info.libtorch, info.simd_target,
      JoinNames(info.simd_targets), info.compiler);
}

}  // namespace vernier::tools

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "tools/torch.h"

namespace vernier::tools {

const jobs::ModelJobs& RequireTorch(const CommandContext& context, std::string_view what) {
  const std::filesystem::path companion =
      std::filesystem::read_symlink("/proc/self/exe").replace_filename("vernier-torch");
  execv(companion.c_str(), context.argv);
  throw Error(ErrorCode::kNoTorch, companion.string(),
              fmt::format("{} needs this program, which builds without libtorch lack", what),
              "Install a build with libtorch, as docs/install.md says");
}

}  // namespace vernier::tools

#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "tools/torch.h"

namespace vernier::tools {

const jobs::ModelJobs& RequireTorch(const CommandContext& context) {
  const std::filesystem::path companion =
      std::filesystem::read_symlink("/proc/self/exe").replace_filename("vernier-torch");
  execv(companion.c_str(), context.argv);
  throw Error(ErrorCode::kNoTorch, companion.string(),
              "running a model needs this program, which builds without libtorch lack",
              "Build with -DVERNIER_WITH_TORCH=ON");
}

}  // namespace vernier::tools

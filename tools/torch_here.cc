#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <string>

#include "calib/blas_core.h"
#include "jobs/torch_jobs.h"
#include "tools/torch.h"

namespace vernier::tools {

const jobs::ModelJobs& RequireTorch(const CommandContext& context, std::string_view) {
  static const jobs::TorchJobs jobs;
  const std::optional<std::string> core = calib::BetterBlasCore();
  if (!core) return jobs;
  setenv(calib::kBlasCoreVariable, core->c_str(), /*overwrite=*/0);
  execv("/proc/self/exe", context.argv);
  return jobs;  // without a restart everything works, only slower
}

}  // namespace vernier::tools

// The way from the command to the jobs that run a model. `vernier` does without libtorch
// (torch_elsewhere.cc) and hands over to the program `vernier-torch` beside it, which is the same
// command linked with libtorch (torch_here.cc).
#ifndef VERNIER_TOOLS_TORCH_H_
#define VERNIER_TOOLS_TORCH_H_

#include <string_view>

#include "jobs/model_jobs.h"
#include "tools/command.h"

namespace vernier::tools {

// The jobs of this program, if it has them; otherwise goes on in vernier-torch with the same
// arguments and does not return (kNoTorch, naming `what` needs it, when there is none). In
// vernier-torch: starts anew, once, when libtorch's BLAS must be told of better kernels before it
// loads (calib/blas_core.h).
const jobs::ModelJobs& RequireTorch(const CommandContext& context,
                                    std::string_view what = "running a model");

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_TORCH_H_

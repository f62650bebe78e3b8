#include "jobs/model_jobs.h"

#include "base/error.h"

namespace vernier::jobs {

const ModelJobs& RequireModels(const ModelJobs* models, std::string_view what) {
  if (models != nullptr) return *models;
  throw Error(ErrorCode::kNoTorch, what, "runs a model, and libtorch is not there to run it",
              "Install a build with libtorch, as docs/install.md says");
}

}  // namespace vernier::jobs

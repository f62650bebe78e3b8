#include "jobs/model_jobs.h"

#include "base/error.h"

namespace vernier::jobs {

const ModelJobs& RequireModels(const ModelJobs* models, std::string_view what) {
  if (models != nullptr) return *models;
  throw Error(ErrorCode::kNoTorch, what, "runs a model, and libtorch is not there to run it",
              "Use a build with -DVERNIER_WITH_TORCH=ON");
}

}  // namespace vernier::jobs

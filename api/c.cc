#include "vernier/c.h"

#include <cstdlib>
#include <string>

#include "api/run_job.h"
#include "api/text.h"
#include "api/torch_library.h"
#include "jobs/build_info.h"

using vernier::api::JobCall;

vernier_status vernier_run_job(const char* job, const char* specification,
                               vernier_progress_fn progress, void* user, char** summary,
                               char** error) {
  const JobCall call = {job, specification, progress, user, summary, error};
  if (!vernier::api::NeedsModels(call)) return vernier::api::RunJob(call, /*models=*/nullptr);
  try {
    return vernier::api::RunInTorchLibrary(call);
  } catch (...) {
    if (summary != nullptr) *summary = nullptr;
    return vernier::api::FailWithCurrentException(error);
  }
}

void vernier_free(char* text) { std::free(text); }

const char* vernier_version() { return vernier::jobs::Version(); }

const char* vernier_build() {
  static const std::string text = vernier::jobs::BuildJson().dump();
  return text.c_str();
}

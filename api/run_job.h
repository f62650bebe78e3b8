// A job behind a border that no exception crosses.
#ifndef VERNIER_API_RUN_JOB_H_
#define VERNIER_API_RUN_JOB_H_

#include "jobs/model_jobs.h"
#include "vernier/c.h"

namespace vernier::api {

// The parameters of vernier_run_job, which may be null as its are.
struct JobCall {
  const char* job;
  const char* specification;
  vernier_progress_fn progress;
  void* user;
  char** summary;
  char** error;
};

// Whether the call names a job that runs a model with this specification. False as well for a call
// that is wrong: RunJob says so.
bool NeedsModels(const JobCall& call);

// `models` may be null unless NeedsModels.
vernier_status RunJob(const JobCall& call, const jobs::ModelJobs* models);

}  // namespace vernier::api

#endif  // VERNIER_API_RUN_JOB_H_

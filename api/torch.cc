// The only symbol of libvernier-torch.
#include "api/run_job.h"
#include "jobs/torch_jobs.h"

extern "C" VERNIER_API vernier_status vernier_torch_run_job(const char* job,
                                                            const char* specification,
                                                            vernier_progress_fn progress,
                                                            void* user, char** summary,
                                                            char** error) {
  static const vernier::jobs::TorchJobs models;
  return vernier::api::RunJob({job, specification, progress, user, summary, error}, &models);
}

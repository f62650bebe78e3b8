// Every job by its name, with its specification and summary as JSON: what callers in other
// languages use.
#ifndef VERNIER_JOBS_CATALOGUE_H_
#define VERNIER_JOBS_CATALOGUE_H_

#include <span>
#include <string_view>

#include "base/json.h"
#include "base/progress.h"
#include "jobs/model_jobs.h"

namespace vernier::jobs {

struct Job {
  std::string_view name;
  // Whether a job with this specification runs a model. Errors of the specification.
  bool (*needs_models)(const Json& spec);
  // Fields as docs/library.md lists them; kBadArgument for unknown ones and wrong kinds. `models`
  // may be null where needs_models says no (kNoTorch).
  Json (*run)(const Json& spec, const ModelJobs* models, ProgressListener& listener);
};

std::span<const Job> AllJobs();

// kBadArgument for a name that is none.
const Job& FindJob(std::string_view name);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_CATALOGUE_H_

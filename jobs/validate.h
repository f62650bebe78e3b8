// The audit of a checkpoint directory.
#ifndef VERNIER_JOBS_VALIDATE_H_
#define VERNIER_JOBS_VALIDATE_H_

#include <filesystem>
#include <string>
#include <vector>

#include "audit/engines/explanation.h"
#include "audit/report.h"
#include "base/progress.h"

namespace vernier::jobs {

struct ValidateSpec {
  std::filesystem::path directory;
  // The checkpoint that `directory` was made from: everything is compared; empty: nothing is.
  std::filesystem::path source;
  std::string engine = "all";     // engines separated by commas, see audit::EnginesFromOption
  int tensor_parallel = 1;        // one of audit::kTensorParallelSizes
  bool full = false;              // read every byte; implied by a source and by a journal
  std::filesystem::path journal;  // remembers what is finished; empty: nothing is remembered
  std::filesystem::path page;     // an HTML page to write; empty: none
};

// A defect of the checkpoint is a finding, never an exception. Progress phase "validate". Errors as
// audit::Validate.
audit::AuditReport Validate(const ValidateSpec& spec, ProgressListener& listener);

// What each engine would build the modules of a name or glob as, and why. kBadArgument when no
// module matches.
std::vector<audit::ModuleExplanation> Explain(const std::filesystem::path& directory,
                                              const std::string& engine,
                                              const std::string& modules);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_VALIDATE_H_

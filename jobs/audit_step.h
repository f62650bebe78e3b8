// The audit with its progress shown: the `validate` phase of a job.
#ifndef VERNIER_JOBS_AUDIT_STEP_H_
#define VERNIER_JOBS_AUDIT_STEP_H_

#include "audit/validate.h"
#include "base/progress.h"

namespace vernier::jobs {

inline constexpr std::string_view kValidatePhase = "validate";

// audit::Validate with options.on_read replaced by reports to `progress`. kInterrupted when it is
// asked to stop; what a journal has stays there.
audit::AuditReport RunAudit(audit::AuditOptions options, Progress& progress);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_AUDIT_STEP_H_

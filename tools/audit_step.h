// The audit with its progress shown: the `validate` phase of a job.
#ifndef VERNIER_TOOLS_AUDIT_STEP_H_
#define VERNIER_TOOLS_AUDIT_STEP_H_

#include "audit/validate.h"
#include "base/progress.h"

namespace vernier::tools {

inline constexpr std::string_view kValidatePhase = "validate";

// audit::Validate with options.on_read replaced by reports to `progress`.
audit::AuditReport RunAudit(audit::AuditOptions options, Progress& progress);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_AUDIT_STEP_H_

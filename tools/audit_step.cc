#include "tools/audit_step.h"

#include "tools/freed_memory.h"

namespace vernier::tools {

audit::AuditReport RunAudit(audit::AuditOptions options, Progress& progress) {
  ReturnFreedMemory();
  uint64_t reported = 0;
  options.on_read = [&](uint64_t done, uint64_t total) {
    if (reported == 0) progress.BeginPhase(kValidatePhase, static_cast<double>(total));
    progress.Advance(static_cast<double>(done - reported), "");
    reported = done;
  };
  audit::AuditReport report = audit::Validate(options);
  if (reported > 0) progress.EndPhase();
  return report;
}

}  // namespace vernier::tools

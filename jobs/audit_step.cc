#include "jobs/audit_step.h"

#include <malloc.h>

namespace vernier::jobs {
namespace {

// What the steps before the audit have freed, and what it frees itself, goes back to the system.
// glibc raises the size from which memory is mapped by itself with every larger buffer that is
// freed. What is freed below it stays, in pieces: an audit of ten times the bytes then held half as
// much memory again. Fixed, it costs no measurable time there.
void ReturnFreedMemory() {
#ifdef M_MMAP_THRESHOLD
  malloc_trim(0);
  constexpr int kThreshold = 128 << 10;
  mallopt(M_MMAP_THRESHOLD, kThreshold);
#endif
}

}  // namespace

audit::AuditReport RunAudit(audit::AuditOptions options, Progress& progress) {
  ReturnFreedMemory();
  uint64_t reported = 0;
  options.on_read = [&](uint64_t done, uint64_t total) {
    if (reported == 0) progress.BeginPhase(kValidatePhase, static_cast<double>(total));
    progress.Advance(static_cast<double>(done - reported), "");
    reported = done;
    progress.ThrowIfStopped();
  };
  audit::AuditReport report = audit::Validate(options);
  if (reported > 0) progress.EndPhase();
  return report;
}

}  // namespace vernier::jobs

// An audit's report for machines; docs/audit.md describes the fields.
#ifndef VERNIER_AUDIT_REPORT_JSON_H_
#define VERNIER_AUDIT_REPORT_JSON_H_

#include "audit/report.h"
#include "base/json.h"

namespace vernier::audit {

// Infinite numbers (the SQNR of an exact weight) are null.
Json ReportJson(const AuditReport& report);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_REPORT_JSON_H_

// An audit's report for people.
#ifndef VERNIER_AUDIT_REPORT_TEXT_H_
#define VERNIER_AUDIT_REPORT_TEXT_H_

#include <string>

#include "audit/report.h"

namespace vernier::audit {

// A line with the verdict, the findings with their remedies, then the errors per role. Ends with a
// newline.
std::string ReportText(const AuditReport& report);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_REPORT_TEXT_H_

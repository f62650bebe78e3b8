// An audit's report for people and for machines.
#ifndef VERNIER_AUDIT_REPORT_TEXT_H_
#define VERNIER_AUDIT_REPORT_TEXT_H_

#include <string>

#include "audit/report.h"
#include "base/json.h"

namespace vernier::audit {

// A line with the verdict, the findings with their remedies, then the errors per role. Ends with a
// newline.
std::string ReportText(const AuditReport& report);

// The same as JSON: {directory, source, clean, tensors, bytes, quantised_weights, carried_tensors,
// counts, findings, errors {overall, roles}}. An infinite SQNR or error is null.
Json ReportJson(const AuditReport& report);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_REPORT_TEXT_H_

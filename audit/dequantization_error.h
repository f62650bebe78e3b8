// How far the values of converted weights are from those of their source.
#ifndef VERNIER_AUDIT_DEQUANTIZATION_ERROR_H_
#define VERNIER_AUDIT_DEQUANTIZATION_ERROR_H_

#include <vector>

#include "audit/read_meter.h"
#include "audit/report.h"
#include "audit/source_rules.h"
#include "audit/subject.h"

namespace vernier::audit {

// Dequantises every converted weight and its source in F32, some rows at a time, and compares
// (V12, C02). Returns the statistics per role, in order of roles; the same on any number of
// threads. Both checkpoints must have passed the header rules.
std::vector<RoleError> MeasureErrors(const Subject& subject, const Subject& source,
                                     const SourceMatch& match, ReadMeter* meter,
                                     FindingList* findings);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_DEQUANTIZATION_ERROR_H_

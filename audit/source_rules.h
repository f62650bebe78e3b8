// A checkpoint against the source that it was made from.
#ifndef VERNIER_AUDIT_SOURCE_RULES_H_
#define VERNIER_AUDIT_SOURCE_RULES_H_

#include <cstddef>
#include <utility>
#include <vector>

#include "audit/read_meter.h"
#include "audit/report.h"
#include "audit/subject.h"

namespace vernier::audit {

// What the names, dtypes and shapes of both say; indices into the two checkpoints' tensors.
struct SourceMatch {
  std::vector<std::pair<size_t, size_t>> carried;    // (tensor, source tensor) to be byte-equal
  std::vector<std::pair<size_t, size_t>> converted;  // (module, source module) stored otherwise
};

// Accounts for every source tensor (C01): carried, converted, or dropped according to the manifest;
// and for every tensor that the source does not explain.
SourceMatch MatchSource(const Subject& subject, const Subject& source, FindingList* findings);

// Compares the carried tensors byte by byte (C02); returns how many are equal.
int64_t CompareCarried(const Subject& subject, const Subject& source, const SourceMatch& match,
                       ReadMeter* meter, FindingList* findings);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_SOURCE_RULES_H_

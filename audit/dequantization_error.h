// Judges how far the values of converted weights are from those of their source.
#ifndef VERNIER_AUDIT_DEQUANTIZATION_ERROR_H_
#define VERNIER_AUDIT_DEQUANTIZATION_ERROR_H_

#include <cstddef>
#include <set>
#include <span>
#include <vector>

#include "audit/module_facts.h"
#include "audit/report.h"
#include "audit/subject.h"

namespace vernier::audit {

// Names weights that differ from their source more than their format explains (V12), or that could
// not be read (C02) though nothing else is known to be wrong with their values. Returns the
// statistics per role, in order of roles; weights that have just another dtype and the same values
// (`retyped`, modules by index) do not count in them. `facts` by module.
std::vector<RoleError> CheckErrors(const Subject& subject, const std::set<size_t>& retyped,
                                   std::span<const ModuleFacts> facts, FindingList* findings);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_DEQUANTIZATION_ERROR_H_

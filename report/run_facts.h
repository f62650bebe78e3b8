// What a run's store tells a report.
#ifndef VERNIER_REPORT_RUN_FACTS_H_
#define VERNIER_REPORT_RUN_FACTS_H_

#include "base/json.h"
#include "run/store.h"

namespace vernier::report {

// {"directory", "calibration", "settings", "phases", "inputs", "expert_tokens", "non_finite",
// "exports", "commands", "events"}; docs/report.md describes the fields. Statistics are summed up
// by layer, role and projection, so that the size does not grow with the number of experts but for
// one number each. The store may be another process's at work. Errors: as Store.
Json RunFacts(const run::Store& store);

}  // namespace vernier::report

#endif  // VERNIER_REPORT_RUN_FACTS_H_

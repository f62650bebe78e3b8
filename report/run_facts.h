// What a run's store tells a report.
#ifndef VERNIER_REPORT_RUN_FACTS_H_
#define VERNIER_REPORT_RUN_FACTS_H_

#include <string>

#include "base/json.h"
#include "run/store.h"

namespace vernier::report {

// A module without its layer, and with '*' for its expert: "ffn.experts.*.w2" for
// "layers.3.ffn.experts.17.w2".
std::string ModuleKind(const std::string& module);

// The routed expert that a module belongs to, or -1.
int ModuleExpert(const std::string& module);

// {"directory", "calibration", "settings", "phases", "inputs", "expert_tokens", "non_finite",
// "exports", "commands", "events"}; docs/report.md describes the fields. Statistics are summed up
// by layer and ModuleKind, so that the size does not grow with the number of experts but for one
// number each. The store may be another process's at work. Errors: as Store.
Json RunFacts(const run::Store& store);

}  // namespace vernier::report

#endif  // VERNIER_REPORT_RUN_FACTS_H_

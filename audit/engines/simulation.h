// What the engines would do with a checkpoint, against what it holds.
#ifndef VERNIER_AUDIT_ENGINES_SIMULATION_H_
#define VERNIER_AUDIT_ENGINES_SIMULATION_H_

#include <vector>

#include "audit/engine.h"
#include "audit/report.h"
#include "audit/subject.h"

namespace vernier::audit {

// One verdict per engine asked for. A configuration that an engine refuses is V13; a module that an
// engine would build in another format than it is stored in, or fail on, is V05, or V04 for a head,
// V03 and V06 for MTP layers; what is stored in a format that is not judged is passed over; a
// module that cannot be split over `tensor_parallel` devices is V11. Headers only.
std::vector<EngineVerdict> SimulateEngines(const Subject& subject, const EnginesAsked& engines,
                                           int tensor_parallel, FindingList* findings);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_ENGINES_SIMULATION_H_

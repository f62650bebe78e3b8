#include "audit/engines/simulation.h"
#include "audit/rules.h"

namespace vernier::audit {

std::vector<EngineVerdict> CheckHeaders(const Subject& subject, const EnginesAsked& engines,
                                        int tensor_parallel, FindingList* findings) {
  CheckJudged(subject, findings);
  CheckFormats(subject, findings);
  CheckModel(subject, engines.set, findings);
  CheckHead(subject, findings);
  CheckKvCache(subject, findings);
  CheckConfigs(subject, findings);
  CheckGroups(subject, findings);
  CheckDeepseekV4(subject, findings);
  return SimulateEngines(subject, engines, tensor_parallel, findings);
}

}  // namespace vernier::audit

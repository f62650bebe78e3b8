#include <string>

#include "audit/rules.h"

namespace vernier::audit {
namespace {

constexpr Defect kNotFinite = {"B05", Severity::kError, "stored values are NaN or infinite",
                               "Download or export this tensor again"};

}  // namespace

void CheckValues(const Subject& subject, std::span<const ModuleFacts> facts,
                 FindingList* findings) {
  const std::vector<Module>& modules = subject.index.modules;
  for (size_t i = 0; i < modules.size(); ++i) {
    if (facts[i].not_finite == 0) continue;
    findings->Add(kNotFinite, subject.Info(modules[i].weight).name + " (" +
                                  std::to_string(facts[i].not_finite) + " of them)");
  }
}

}  // namespace vernier::audit

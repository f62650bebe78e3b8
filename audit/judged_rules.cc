// What the audit has no rules for, said instead of guessed.
#include <map>
#include <string>

#include "audit/rules.h"

namespace vernier::audit {
namespace {

constexpr Defect kFormatNotJudged = {
    "J02", Severity::kInfo, "weights are in a format that is not judged",
    "Ask the tool that wrote them, or an engine: nothing is said here about these weights"};
constexpr Defect kMethodNotJudged = {
    "J02", Severity::kInfo, "the quantisation configuration is of a method that is not judged",
    "Ask the tool that wrote it, or an engine: what engines make of it is not simulated"};

}  // namespace

void CheckJudged(const Subject& subject, FindingList* findings) {
  const QuantConfig& config = subject.Config();
  if (!config.IsJudged()) findings->Add(kMethodNotJudged, "quant_method " + config.quant_method);
  for (const Module& module : subject.index.modules) {
    if (IsJudged(module.format)) continue;
    findings->Add(kFormatNotJudged,
                  module.name + " (" + std::string(FormatName(module.format)) + ")");
  }
}

}  // namespace vernier::audit

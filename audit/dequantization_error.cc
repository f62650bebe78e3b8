#include "audit/dequantization_error.h"

#include <fmt/format.h>

#include <array>

namespace vernier::audit {
namespace {

constexpr Defect kUnreadable = {"C02", Severity::kError,
                                "a converted weight or its source cannot be dequantised",
                                "Download or export this weight again"};
constexpr Defect kWrongValues = {"V12", Severity::kError,
                                 "dequantised values have little to do with the source",
                                 "Export this weight again: its scales or nibbles are wrong"};
constexpr Defect kPoorValues = {"V12", Severity::kWarning,
                                "dequantised values are further from the source than usual",
                                "Keep these weights in their source format, or change their scale"};

// A block scale off by one binade costs 0.5 or more.
constexpr double kWrongError = 0.4;

// Defects of values and scales are reported by rules of their own (B01, B03, B05, V02).
bool HasBadValues(const ModuleFacts& facts) {
  const ScaleFacts& scales = facts.scales;
  return facts.not_finite + scales.nan_or_negative + scales.e8m0_nan + scales.bad_values > 0;
}

void Judge(const Module& module, const ModuleFacts& facts, FindingList* findings) {
  const SourceFacts& source = *facts.source;
  if (!source.failure.empty()) {
    if (!HasBadValues(facts)) findings->Add(kUnreadable, source.failure);
    return;
  }
  const double relative = source.error.RelativeError();
  const double usual = module.format->poor_error;
  if (relative <= usual) return;
  findings->Add(relative > kWrongError ? kWrongValues : kPoorValues,
                fmt::format("{} (relative error {:.3g}, {} at most {:.3g})", module.name, relative,
                            FormatName(module.format), usual));
}

}  // namespace

std::vector<RoleError> CheckErrors(const Subject& subject, const std::set<size_t>& retyped,
                                   std::span<const ModuleFacts> facts, FindingList* findings) {
  std::array<ErrorStatistics, checkpoint::kRoleCount> by_role = {};
  for (size_t i = 0; i < facts.size(); ++i) {
    if (!facts[i].source) continue;
    const Module& module = subject.index.modules[i];
    Judge(module, facts[i], findings);
    if (retyped.contains(i) && facts[i].source->error.squared_error == 0) continue;
    by_role[static_cast<size_t>(module.meaning.role)].Merge(facts[i].source->error);
  }
  std::vector<RoleError> result;
  for (int role = 0; role < checkpoint::kRoleCount; ++role) {
    if (by_role[role].weights == 0) continue;
    result.push_back({static_cast<checkpoint::Role>(role), by_role[role]});
  }
  return result;
}

}  // namespace vernier::audit

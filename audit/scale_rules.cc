#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "audit/byte_scan.h"
#include "audit/cells.h"
#include "audit/rules.h"
#include "audit/scale_sample.h"
#include "quantizers/float_formats.h"

namespace vernier::audit {
namespace {

constexpr Defect kBadScale = {"V02", Severity::kError, "a scale is not a finite number above zero",
                              "Calibrate again, or give the weight a fallback scale"};
constexpr Defect kTinyActivations = {
    "V02", Severity::kError,
    "an input scale stands for activations beyond any model's (amax below 2^-24, or not finite)",
    "Calibrate again: this is memory that was never set, or a scale of another kind"};
constexpr Defect kHugeActivations = {
    "V02", Severity::kWarning,
    "an input scale stands for activations larger than any sound model's (amax above 2^24)",
    "Calibrate again, unless activations really overflow: the layers behind see noise"};
constexpr Defect kNanBlockScale = {"B01", Severity::kError, "block scales are NaN or negative",
                                   "Export this weight again"};
constexpr Defect kZeroBlockScale = {"B02", Severity::kError,
                                    "a block with values has the scale zero",
                                    "Export this weight again: these values are lost"};
constexpr Defect kNanE8m0 = {"B03", Severity::kError, "E8M0 scales are NaN (byte 0xFF)",
                             "Download or export this weight again"};
constexpr Defect kExpertScales = {
    "V01", Severity::kError, "the fused projections of an expert have different scales",
    "Export with one global scale and one input scale per group: engines use only the first"};
constexpr Defect kFusedScales = {
    "V08", Severity::kError, "weights that engines fuse have different scales or formats",
    "Quantise the group alike, with one global scale and one input scale"};

std::string Counted(std::string_view name, int64_t count) {
  return std::string(name) + " (" + std::to_string(count) + " of them)";
}

void ReportScalar(const Subject& subject, const std::optional<float>& value, size_t tensor,
                  FindingList* findings) {
  if (value && !IsUsableScale(*value)) {
    findings->Add(kBadScale, fmt::format("{} ({:g})", subject.Info(tensor).name, *value));
  }
}

constexpr float kLeastAmax = 0x1p-24f;
constexpr float kMostAmax = 0x1p24f;

void ReportInputScale(const Subject& subject, const Module& module, const ModuleScalars& scalars,
                      FindingList* findings) {
  ReportScalar(subject, scalars.input_scale, module.input_scale, findings);
  const bool usable = scalars.input_scale && IsUsableScale(*scalars.input_scale);
  if (!usable || module.format != formats::kNvfp4) return;
  // Nothing where the reciprocal of a divisor is too large for F32.
  const std::optional<float> scale = InputMultiplier(subject, module, scalars);
  const float amax = quantizers::kE2m1Max * quantizers::kE4m3Max *
                     scale.value_or(std::numeric_limits<float>::infinity());
  if (amax >= kLeastAmax && amax <= kMostAmax) return;
  const bool is_number = std::isfinite(amax) && amax > kMostAmax;
  findings->Add(is_number ? kHugeActivations : kTinyActivations,
                fmt::format("{} (amax {:g})", subject.Info(module.input_scale).name, amax));
}

void ReportModule(const Subject& subject, const Module& module, const ScaleFacts& facts,
                  FindingList* findings) {
  const auto report = [&](const Defect& defect, int64_t count) {
    if (count == 0) return;
    findings->Add(defect, Counted(subject.Info(BlockScalesOf(subject, module)).name, count));
  };
  report(kNanBlockScale, facts.nan_or_negative);
  report(kZeroBlockScale, facts.lost_blocks);
  report(kNanE8m0, facts.e8m0_nan);
  report(kBadScale, facts.bad_values);
}

// Bit patterns: engines compare and fuse the stored numbers.
bool SameBits(const std::optional<float>& a, const std::optional<float>& b) {
  if (!a || !b) return true;  // V02 reports what is missing
  return std::bit_cast<uint32_t>(*a) == std::bit_cast<uint32_t>(*b);
}

struct GroupMember {
  const Module* module;
  const ModuleScalars* scalars;
};

void CheckGroup(const std::vector<GroupMember>& members, FindingList* findings) {
  const GroupMember& first = members.front();
  const bool is_expert = first.module->meaning.expert >= 0;
  for (const GroupMember& member : members) {
    const bool first_quantised = first.module->format == formats::kNvfp4;
    const bool quantised = member.module->format == formats::kNvfp4;
    const std::string pair = first.module->name + " and " + member.module->name;
    if (first_quantised != quantised && !is_expert) findings->Add(kFusedScales, pair + " (format)");
    const Defect& defect = is_expert ? kExpertScales : kFusedScales;
    if (!SameBits(first.scalars->global_scale, member.scalars->global_scale)) {
      findings->Add(defect, pair + " (global scale)");
    }
    if (!SameBits(first.scalars->input_scale, member.scalars->input_scale)) {
      findings->Add(defect, pair + " (input scale)");
    }
  }
}

}  // namespace

void CheckScalars(const Subject& subject, std::span<const ModuleScalars> scalars,
                  FindingList* findings) {
  const std::vector<Module>& modules = subject.index.modules;
  std::map<std::string, std::vector<GroupMember>> groups;
  for (size_t i = 0; i < modules.size(); ++i) {
    ReportScalar(subject, scalars[i].global_scale, modules[i].global_scale, findings);
    ReportInputScale(subject, modules[i], scalars[i], findings);
    if (!modules[i].meaning.fused_group.empty() && modules[i].weight != kAbsent) {
      groups[modules[i].meaning.fused_group].push_back({&modules[i], &scalars[i]});
    }
  }
  for (const auto& [name, members] : groups) CheckGroup(members, findings);
}

void CheckScales(const Subject& subject, std::span<const ModuleFacts> facts,
                 FindingList* findings) {
  const std::vector<Module>& modules = subject.index.modules;
  for (size_t i = 0; i < modules.size(); ++i) {
    ReportModule(subject, modules[i], facts[i].scales, findings);
  }
}

}  // namespace vernier::audit

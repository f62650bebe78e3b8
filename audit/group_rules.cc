// Configurations that speak twice about one module (V14).
#include <algorithm>
#include <string>

#include "audit/rules.h"

namespace vernier::audit {
namespace {

using checkpoint::Role;

constexpr Defect kTwoGroups = {
    "V14", Severity::kError, "a module is a target of several config_groups of different formats",
    "Let each module be in one group: readers take the group by name, not the closest target"};
constexpr Defect kContradiction = {
    "V14", Severity::kError,
    "quantized_layers gives a module and one within it different algorithms",
    "Keep one of the two entries: readers differ in which they take"};
constexpr Defect kHeadIsTarget = {
    "V14", Severity::kWarning, "\"Linear\" is a target and the head is not in the ignore list",
    "Add lm_head to the ignore list: some versions count it among the linear layers"};
constexpr Defect kBadPattern = {"V14", Severity::kError,
                                "a regular expression of the configuration does not compile",
                                "Correct the expression; it matches nothing"};

void CheckTargets(const Subject& subject, FindingList* findings) {
  const QuantConfig& config = subject.Config();
  for (const Module& module : subject.index.modules) {
    if (module.weight == kAbsent || !module.meaning.linear || config.Ignores(module.name)) continue;
    const std::vector<const ConfigGroup*> groups = config.GroupsNaming(module.name);
    const bool alike = std::all_of(groups.begin(), groups.end(), [&](const ConfigGroup* group) {
      return group->format == groups.front()->format &&
             group->quantises_inputs == groups.front()->quantises_inputs;
    });
    if (alike) continue;
    std::string names;
    for (const ConfigGroup* group : groups) names += (names.empty() ? "" : ", ") + group->name;
    findings->Add(kTwoGroups, module.name + " (" + names + ")");
  }
}

void CheckLinearTarget(const Subject& subject, FindingList* findings) {
  const QuantConfig& config = subject.Config();
  const bool any_linear =
      std::any_of(config.groups.begin(), config.groups.end(), [](const ConfigGroup& group) {
        return std::any_of(group.targets.begin(), group.targets.end(),
                           [](const NamePattern& target) { return target.text() == "Linear"; });
      });
  if (!any_linear) return;
  for (const Module& module : subject.index.modules) {
    if (module.meaning.role == Role::kLmHead && module.format == formats::kPlain &&
        !config.Ignores(module.name)) {
      findings->Add(kHeadIsTarget, module.name);
    }
  }
}

void CheckPatterns(const QuantConfig& config, FindingList* findings) {
  const auto check = [&](const NamePattern& pattern) {
    if (!pattern.usable()) findings->Add(kBadPattern, pattern.text());
  };
  std::for_each(config.exclusions.begin(), config.exclusions.end(), check);
  for (const ConfigGroup& group : config.groups) {
    std::for_each(group.targets.begin(), group.targets.end(), check);
  }
}

void CheckNestedLayers(const QuantConfig& config, FindingList* findings) {
  for (const auto& [name, layer] : config.quantized_layers) {
    const std::string prefix = name + ".";
    for (auto inner = config.quantized_layers.lower_bound(prefix);
         inner != config.quantized_layers.end() && inner->first.starts_with(prefix); ++inner) {
      if (inner->second.algo != layer.algo) findings->Add(kContradiction, inner->first);
    }
  }
}

}  // namespace

void CheckGroups(const Subject& subject, FindingList* findings) {
  const QuantConfig& config = subject.Config();
  CheckPatterns(config, findings);
  CheckNestedLayers(config, findings);
  if (!config.IsCompressedTensors()) return;
  CheckTargets(subject, findings);
  CheckLinearTarget(subject, findings);
}

}  // namespace vernier::audit

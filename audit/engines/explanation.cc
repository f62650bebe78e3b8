#include "audit/engines/explanation.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace vernier::audit {
namespace {

// Members of one module that a person wants to see: experts have hundreds.
constexpr size_t kShownMembers = 3;

bool Matches(std::string_view glob, const RuntimeModule& module) {
  return GlobMatch(glob, module.name) ||
         std::any_of(module.members.begin(), module.members.end(),
                     [&](const Module* member) { return GlobMatch(glob, member->name); });
}

EngineDecision DecisionOf(Engine engine, const EngineReader& reader, const RuntimeModule& module) {
  if (!reader.refusal().empty()) return {engine, "fails", reader.refusal(), false};
  const Decision decision = reader.Decide(module);
  const std::optional<StoredFormat> stored = module.Stored();
  const bool agrees = stored && (!IsJudged(*stored) || Agrees(decision, *stored));
  return {engine, BuiltAs(decision), decision.reason, agrees};
}

Subject OpenOrThrow(const std::filesystem::path& directory) {
  FindingList findings;
  std::optional<Subject> subject = OpenSubject(directory, &findings);
  if (subject) return *std::move(subject);
  const Finding finding = findings.Sorted().front();
  throw Error(ErrorCode::kBadHeader, directory.string(),
              finding.what + ": " + finding.tensors.front(), finding.remedy);
}

std::string MembersText(const std::vector<std::string>& members) {
  const size_t shown = std::min(kShownMembers, members.size());
  std::string text = JoinNames({members.begin(), members.begin() + static_cast<long>(shown)});
  if (shown < members.size()) text += fmt::format(" and {} more", members.size() - shown);
  return text;
}

}  // namespace

std::string BuiltAs(const Decision& decision) {
  switch (decision.kind) {
    case Decision::Kind::kQuantised:
      return std::string(FormatName(decision.format));
    case Decision::Kind::kUnquantised:
      return "unquantised";
    case Decision::Kind::kFails:
    case Decision::Kind::kRefuses:
      return "fails";
    case Decision::Kind::kUnknown:
      break;
  }
  return "unknown";
}

bool Agrees(const Decision& decision, StoredFormat stored) {
  switch (decision.kind) {
    case Decision::Kind::kQuantised:
      return decision.format == stored;
    case Decision::Kind::kUnquantised:
      return !IsQuantised(stored);
    case Decision::Kind::kFails:
    case Decision::Kind::kRefuses:
      return false;
    case Decision::Kind::kUnknown:
      break;
  }
  return true;
}

std::vector<ModuleExplanation> ExplainModules(const std::filesystem::path& directory,
                                              const EnginesAsked& engines, std::string_view glob) {
  const Subject subject = OpenOrThrow(directory);
  std::vector<std::pair<Engine, std::unique_ptr<EngineReader>>> readers;
  for (const Engine engine : kEngines) {
    if (!engines.set.Has(engine)) continue;
    readers.emplace_back(engine, MakeEngineReader(engine, engines, subject));
  }
  std::vector<ModuleExplanation> explanations;
  for (const RuntimeModule& module : BuildRuntimeModules(subject)) {
    if (!Matches(glob, module)) continue;
    ModuleExplanation explanation;
    explanation.name = module.name;
    for (const Module* member : module.members) explanation.members.push_back(member->name);
    const std::optional<StoredFormat> stored = module.Stored();
    explanation.stored = stored ? FormatName(*stored) : "mixed";
    for (const auto& [engine, reader] : readers) {
      explanation.decisions.push_back(DecisionOf(engine, *reader, module));
    }
    explanations.push_back(std::move(explanation));
  }
  return explanations;
}

std::string ExplanationText(std::span<const ModuleExplanation> modules) {
  std::string text;
  for (const ModuleExplanation& module : modules) {
    text += fmt::format("{}: stored {}\n", module.name, module.stored);
    const bool is_fused = module.members.size() > 1 || module.members.front() != module.name;
    if (is_fused) text += fmt::format("  of {}\n", MembersText(module.members));
    for (const EngineDecision& decision : module.decisions) {
      text += fmt::format("  {:<13} {}{}: {}\n", EngineName(decision.engine), decision.built,
                          decision.agrees ? "" : " (!)", decision.reason);
    }
  }
  return text;
}

Json ExplanationJson(std::span<const ModuleExplanation> modules) {
  Json json = Json::array();
  for (const ModuleExplanation& module : modules) {
    Json decisions = Json::array();
    for (const EngineDecision& decision : module.decisions) {
      decisions.push_back({{"engine", EngineName(decision.engine)},
                           {"built", decision.built},
                           {"reason", decision.reason},
                           {"agrees", decision.agrees}});
    }
    json.push_back({{"module", module.name},
                    {"members", module.members},
                    {"stored", module.stored},
                    {"engines", std::move(decisions)}});
  }
  return json;
}

}  // namespace vernier::audit

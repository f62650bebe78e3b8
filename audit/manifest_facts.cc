#include "audit/manifest_facts.h"

#include <array>
#include <map>
#include <string_view>

#include "base/json_entries.h"

namespace vernier::audit {
namespace {

constexpr std::string_view kManifestFileName = "vernier_manifest.json";
constexpr std::array<std::string_view, 2> kFirstProjections = {".w1", ".gate_proj"};

bool IsFirstProjection(std::string_view module) {
  for (const std::string_view suffix : kFirstProjections) {
    if (module.ends_with(suffix)) return true;
  }
  return false;
}

void ReadTensor(const Json& entry, std::string_view origin, ManifestFacts* facts) {
  if (GetFieldOr<std::string>(entry, "action", origin, "") != "dropped") return;
  facts->dropped.insert(GetField<std::string>(entry, "name", origin));
}

void ReadPatch(const Json& entry, std::string_view origin, ManifestFacts* facts) {
  facts->config_reasons[GetField<std::string>(entry, "path", origin)] =
      GetFieldOr<std::string>(entry, "reason", origin, "");
}

void ReadScaleGroup(const Json& entry, std::string_view origin, ManifestFacts* facts) {
  if (!entry.contains("tokens")) return;
  const auto tokens = GetField<int64_t>(entry, "tokens", origin);
  for (const auto& module : GetField<std::vector<std::string>>(entry, "modules", origin)) {
    facts->tokens[module] = tokens;
  }
}

}  // namespace

ManifestFacts ReadManifestFacts(const std::filesystem::path& directory) {
  ManifestFacts facts;
  const std::filesystem::path path = directory / kManifestFileName;
  if (!std::filesystem::exists(path)) return facts;
  const std::string origin = path.string();
  facts.present = true;
  ForEachArrayEntry(path, [&](std::string_view field, const Json& entry) {
    if (field == "tensors") ReadTensor(entry, origin, &facts);
    if (field == "config_patches") ReadPatch(entry, origin, &facts);
    if (field == "scale_groups") ReadScaleGroup(entry, origin, &facts);
  });
  return facts;
}

std::vector<ExpertTokens> ExpertTokensOf(const Subject& subject, const ManifestFacts& manifest) {
  std::map<int, std::map<int, int64_t>> layers;  // layer -> expert -> tokens
  for (const Module& module : subject.index.modules) {
    if (!module.IsMainExpert() || module.meaning.expert < 0) continue;
    if (!IsFirstProjection(module.name)) continue;
    const auto found = manifest.tokens.find(module.name);
    if (found != manifest.tokens.end()) {
      layers[module.meaning.layer][module.meaning.expert] = found->second;
    }
  }
  std::vector<ExpertTokens> result;
  for (const auto& [layer, experts] : layers) {
    if (experts.rbegin()->first + 1 != static_cast<int>(experts.size())) continue;  // has gaps
    ExpertTokens tokens{.layer = layer, .tokens = {}};
    for (const auto& [expert, count] : experts) tokens.tokens.push_back(count);
    result.push_back(std::move(tokens));
  }
  return result;
}

}  // namespace vernier::audit

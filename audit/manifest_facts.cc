#include "audit/manifest_facts.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/json_entries.h"

namespace vernier::audit {
namespace {

constexpr std::string_view kManifestFileName = "vernier_manifest.json";
constexpr const char* kRemedy = "Export again, or validate without a source";
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

void ReadFold(const Json& entry, std::string_view origin, ManifestFacts* facts) {
  if (!entry.contains("offset")) return;
  FoldFacts fold;
  fold.channels.channels = GetField<int64_t>(entry, "channels", origin);
  fold.channels.head_dim = GetField<int64_t>(entry, "head_dim", origin);
  fold.channels.repeats = GetField<int64_t>(entry, "repeats", origin);
  fold.producers = GetField<std::vector<std::string>>(entry, "producers", origin);
  fold.consumers = GetField<std::vector<std::string>>(entry, "consumers", origin);
  fold.offset = GetField<uint64_t>(entry, "offset", origin);
  fold.channels.added = GetFieldOr<float>(entry, "added", origin, 0);
  facts->folds.push_back(std::move(fold));
}

bool IsPossible(const checkpoint::Fold& fold) {
  constexpr int64_t kMost = int64_t{1} << 24;
  const auto within = [](int64_t value, int64_t least) { return value >= least && value <= kMost; };
  return within(fold.channels, 1) && within(fold.head_dim, 0) && within(fold.repeats, 1) &&
         within(fold.columns(), 1) &&
         (fold.head_dim == 0 ? fold.repeats == 1 : fold.channels % fold.head_dim == 0);
}

// The factors of a fold, as the file has them.
std::vector<float> ReadFactors(const std::filesystem::path& path, const FoldFacts& fold) {
  const std::string manifest = std::string(kManifestFileName);
  if (!IsPossible(fold.channels)) {
    throw Error(ErrorCode::kBadJson, manifest, "has factors of no possible shape under \"smooth\"",
                kRemedy);
  }
  const auto count = static_cast<size_t>(fold.channels.channels);
  const uint64_t bytes = count * sizeof(float);
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  if (error || bytes > size || fold.offset > size - bytes) {
    throw Error(ErrorCode::kBadJson, path.string(),
                fmt::format("does not hold the {} factors that {} names", count, manifest),
                kRemedy);
  }
  std::vector<float> factors(count);
  File::OpenForRead(path).ReadAt(fold.offset, std::as_writable_bytes(std::span(factors)));
  if (!checkpoint::AreFactors(factors)) {
    throw Error(ErrorCode::kBadJson, path.string(), "holds factors that are no positive numbers",
                kRemedy);
  }
  return factors;
}

}  // namespace

Rescalings ReadRescalings(const std::filesystem::path& directory, const ManifestFacts& manifest) {
  Rescalings rescalings;
  for (const FoldFacts& fold : manifest.folds) {
    const std::vector<float> factors = ReadFactors(directory / checkpoint::kFoldsFileName, fold);
    for (const std::string& module : fold.producers) {
      rescalings[module].row_divisors = factors;
      if (module == fold.producers.front()) rescalings[module].added = fold.channels.added;
    }
    const std::vector<float> columns = checkpoint::ColumnFactors(fold.channels, factors);
    for (const std::string& module : fold.consumers) rescalings[module].column_factors = columns;
  }
  return rescalings;
}

ManifestFacts ReadManifestFacts(const std::filesystem::path& directory) {
  ManifestFacts facts;
  const std::filesystem::path path = directory / kManifestFileName;
  if (!std::filesystem::exists(path)) return facts;
  const std::string origin = path.string();
  facts.present = true;
  ForEachArrayEntry(path, [&](std::string_view field, const Json& entry) {
    if (field == "tensors") ReadTensor(entry, origin, &facts);
    if (field == "config_patches") ReadPatch(entry, origin, &facts);
    if (field == "smooth") ReadFold(entry, origin, &facts);
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

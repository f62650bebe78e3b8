#include "recipes/recipe.h"

#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"
#include "recipes/options.h"
#include "recipes/plan.h"
#include "recipes/recipe_values.h"
#include "recipes/schema_check.h"
#include "recipes/target_format.h"

namespace vernier::recipes {
namespace {

namespace fs = std::filesystem;

// One object of a recipe: the whole one, or an entry of a list.
struct DocumentPart {
  const Json& value;
  std::string rows;   // where its fields stand in the table: "", "/quantize/*"
  std::string place;  // where it stands in the recipe: "", "/quantize/0"
};

void ReadFields(const DocumentPart& part, Recipe& recipe);

void ReadEntries(const Option& list, const Json& values, const std::string& place, Recipe& recipe) {
  list.entries.clear(recipe);
  for (size_t i = 0; i < values.size(); ++i) {
    list.entries.append(recipe);
    ReadFields({values[i], list.pointer + "/*", fmt::format("{}/{}", place, i)}, recipe);
  }
}

// The schema has accepted all values, so that only what it cannot say is checked here.
void ReadFields(const DocumentPart& part, Recipe& recipe) {
  for (const Option& option : RecipeOptions()) {
    if (!option.pointer.starts_with(part.rows + "/")) continue;
    const std::string rest = option.pointer.substr(part.rows.size());
    if (rest.find('*') != std::string::npos) continue;
    const Json::json_pointer pointer(rest);
    if (!part.value.contains(pointer)) continue;
    const std::string place = part.place + rest;
    if (option.entries.append) ReadEntries(option, part.value[pointer], place, recipe);
    if (!option.field.write) continue;
    option.field.write(
        part.value[pointer],
        {.base = recipe.origin.parent_path(),
         .source = {ErrorCode::kBadRecipe, fmt::format("{}: {}", recipe.origin.string(), place)}},
        recipe);
  }
}

std::string InputScalesText(const InputScales& scales) {
  switch (scales.from) {
    case ActivationScales::kNone:
      return "none";
    case ActivationScales::kConstant:
      return fmt::format("{:g}", scales.constant);
    case ActivationScales::kCalibrated:
      break;
  }
  return "calibrated";
}

// The last part of a path, also of a directory given with a slash at its end.
std::string LastPart(const fs::path& path) {
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

}  // namespace

std::string Rule::Describe() const {
  std::string text;
  if (!roles.empty()) {
    std::vector<std::string> names;
    for (const checkpoint::Role role : roles) names.emplace_back(checkpoint::RoleName(role));
    text += fmt::format("role {} ", JoinNames(names));
  }
  if (!name_glob.empty()) text += fmt::format("name \"{}\" ", name_glob);
  if (!layers.empty()) text += fmt::format("layers {} ", layers.Text());
  text += "-> " + TargetText(format, scale) + (smooth == Smooth::kAuto ? ", smooth" : "");
  if (activations) text += ", activations " + InputScalesText(*activations);
  return text + (optional ? ", if there are any" : "");
}

InputScales Recipe::InputScalesOf(const Rule& rule) const {
  return rule.activations.value_or(
      InputScales{.from = activations, .constant = constant_input_scale});
}

std::string_view KvCacheName(KvCache kv_cache) { return NameOf(kKvCaches, kv_cache); }

checkpoint::KvCacheFormat FormatOf(KvCache kv_cache) {
  switch (kv_cache) {
    case KvCache::kFp8:
    case KvCache::kFp8Cast:
      return checkpoint::KvCacheFormat::kFp8;
    case KvCache::kNvfp4:
    case KvCache::kNvfp4Cast:
      return checkpoint::KvCacheFormat::kNvfp4;
    case KvCache::kNone:
      break;
  }
  return checkpoint::KvCacheFormat::kModel;
}

bool IsCalibrated(KvCache kv_cache) {
  return kv_cache == KvCache::kFp8 || kv_cache == KvCache::kNvfp4;
}

fs::path DefaultRunDirectory(const fs::path& output) {
  fs::path directory = output.has_filename() ? output : output.parent_path();
  return directory += ".run";
}

std::string_view ComputeDtypeName(ComputeDtype dtype) { return NameOf(kComputeDtypes, dtype); }

Recipe ParseRecipe(std::string_view text, const fs::path& origin, const Overrides& overrides) {
  const Json document = ParseJson(text, origin.string(), JsonComments::kAllow);
  CheckStructure(text, origin.string());
  CheckDocument(document, origin.string());

  Recipe recipe;
  recipe.origin = origin;
  recipe.default_run_dir = true;
  ReadFields({document, "", ""}, recipe);
  ApplyOverrides(overrides, recipe);
  return recipe;
}

Recipe LoadRecipe(const fs::path& path, const Overrides& overrides) {
  return ParseRecipe(ReadWholeFile(path), path, overrides);
}

Json CalibrationIdentity(const Recipe& recipe) {
  const datasets::CalibrationSpec& data = recipe.calibration.data;
  Json sources = Json::array();
  for (const datasets::DataSource& source : data.sources) {
    // The name alone: a run may move to another machine, and the tokens have a fingerprint.
    sources.push_back({{"path", LastPart(source.path)},
                       {"format", NameOf(kSourceFormats, source.format)},
                       {"weight", source.weight}});
    if (!source.column.empty()) sources.back()["column"] = source.column;
  }
  Json identity = {{"data", std::move(sources)},
                   {"samples", data.samples},
                   {"sequence_length", data.sequence_length},
                   {"packing", NameOf(kPackings, data.packing)},
                   {"chat_format", NameOf(kChatFormats, data.chat_format)},
                   {"seed", data.seed},
                   {"dtype", ComputeDtypeName(recipe.calibration.dtype)},
                   {"all_experts", recipe.calibration.all_experts}};
  if (recipe.non_finite != NonFinite::kStop && ObservesInputs(recipe)) {
    identity["non_finite"] = NameOf(kNonFinite, recipe.non_finite);
  }
  return identity;
}

}  // namespace vernier::recipes

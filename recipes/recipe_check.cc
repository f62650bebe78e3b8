#include "recipes/recipe_check.h"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/text.h"
#include "recipes/plan.h"

namespace vernier::recipes {
namespace {

// Without links and dots as far as the path exists.
std::filesystem::path Resolved(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::path resolved = std::filesystem::weakly_canonical(path, error);
  if (error) resolved = std::filesystem::absolute(path, error).lexically_normal();
  return resolved.has_filename() ? resolved : resolved.parent_path();
}

// The overrides of these fields, or the recipe's file when there are none.
ValueSource SourceOf(const Recipe& recipe, const Overrides& overrides,
                     std::initializer_list<std::string_view> pointers) {
  std::vector<std::string> given;
  for (const std::string_view pointer : pointers) {
    const Override* found = FindOverride(overrides, pointer);
    if (found == nullptr) continue;
    given.push_back(fmt::format("{} {}", found->Name(), found->value.get<std::string>()));
  }
  if (given.empty()) return {ErrorCode::kBadRecipe, recipe.origin.string() + ": /"};
  return {ErrorCode::kBadArgument, JoinNames(given)};
}

// The schema cannot say so: whether anything is calibrated depends on the rules.
void RequireDataToCalibrate(const Recipe& recipe, const ValueSource& source) {
  if (!ObservesInputs(recipe) || !recipe.calibration.data.sources.empty()) return;
  if (IsCalibrated(recipe.kv_cache)) {
    const std::string_view name = KvCacheName(recipe.kv_cache);
    throw Error(
        source.code, source.subject,
        fmt::format("export.kv_cache \"{}\" is calibrated, and there is no calibration data: the "
                    "field \"calibration\" is missing",
                    name),
        fmt::format(
            "Add \"calibration\" to the recipe or give --data, or choose --kv-cache {}_cast",
            name));
  }
  throw Error(
      source.code, source.subject,
      "input scales are calibrated, and there is no calibration data: the field "
      "\"calibration\" is missing",
      "Add \"calibration\" to the recipe or give --data, or set \"activations\" to \"none\" "
      "or a number");
}

}  // namespace

void CheckRecipe(const Recipe& recipe, const Overrides& overrides) {
  RequireDataToCalibrate(recipe, SourceOf(recipe, overrides, {"/export/kv_cache"}));
  CheckDirectories(recipe, SourceOf(recipe, overrides, {"/source", "/output", "/run_dir"}));
}

void CheckDirectories(const Recipe& recipe, const ValueSource& source) {
  struct Named {
    std::string_view name;
    const std::filesystem::path& path;
  };
  const std::array<Named, 3> directories = {
      {{"source", recipe.source}, {"output", recipe.output}, {"run_dir", recipe.run_dir}}};
  for (size_t i = 0; i < directories.size(); ++i) {
    for (size_t j = i + 1; j < directories.size(); ++j) {
      if (directories[i].path.empty() || directories[j].path.empty()) continue;
      const std::filesystem::path place = Resolved(directories[i].path);
      if (place != Resolved(directories[j].path)) continue;
      throw Error(source.code, source.subject,
                  fmt::format("{} and {} are both {}", directories[i].name, directories[j].name,
                              place.string()),
                  "Give each a directory of its own");
    }
  }
}

}  // namespace vernier::recipes

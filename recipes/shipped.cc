#include "recipes/shipped.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "checkpoint/config_facts.h"
#include "recipes/plan.h"
#include "recipes/shipped_texts.h"

namespace vernier::recipes {
namespace {

namespace fs = std::filesystem;
using checkpoint::SourceModel;

constexpr std::string_view kSourceField = "/source";
constexpr std::string_view kOutputField = "/output";
constexpr std::string_view kDataField = "/calibration/data/*/path";

Recipe Parse(const ShippedText& shipped, const Overrides& overrides) {
  Recipe recipe = ParseRecipe(shipped.text, fs::path(shipped.name), overrides);
  recipe.shipped_as = shipped.name;
  return recipe;
}

ShippedRecipe Introduce(const Recipe& recipe) {
  return {.name = recipe.shipped_as, .description = recipe.description, .models = recipe.models};
}

// The model_type of the whole and that of its language model.
std::set<std::string> ModelTypes(const SourceModel& source) {
  std::set<std::string> types = {std::string(source.family->model_type())};
  const Json& config = source.checkpoint.config();
  const checkpoint::ConfigFact text = checkpoint::FindTextConfig(config);
  for (const Json* part : {&config, text.value}) {
    if (part == nullptr || !part->is_object()) continue;
    const auto type = part->find("model_type");
    if (type != part->end() && type->is_string()) types.insert(type->get<std::string>());
  }
  return types;
}

bool IsFor(const Recipe& recipe, const SourceModel& source) {
  if (recipe.models.empty()) return true;
  const std::set<std::string> types = ModelTypes(source);
  return std::ranges::any_of(recipe.models,
                             [&](const std::string& model) { return types.contains(model); });
}

bool HasPlan(const Recipe& recipe, const SourceModel& source) {
  try {
    MakePlan(source, recipe);
    return true;
  } catch (const Error&) {
    return false;
  }
}

bool Fits(const ShippedText& shipped, const SourceModel& source) {
  const std::string directory = source.checkpoint.directory().string();
  const Recipe recipe = Parse(shipped, {{std::string(kSourceField), directory},
                                        {std::string(kOutputField), directory + ".out"}});
  if (!IsFor(recipe, source)) return false;
  if (source.family->guessed() && ObservesInputs(recipe)) return false;
  return HasPlan(recipe, source);
}

const ShippedText& DefaultFor(const SourceModel& source) {
  for (const ShippedText& shipped : ShippedTexts()) {
    if (Fits(shipped, source)) return shipped;
  }
  throw Error(ErrorCode::kBadArgument, source.checkpoint.directory().string(),
              "none of the shipped recipes fits it",
              "Give a recipe of your own; `vernier inspect` shows what the checkpoint holds, and "
              "`vernier plan` with a shipped recipe what is in its way");
}

std::optional<ShippedText> FindShipped(std::string_view name) {
  const auto texts = ShippedTexts();
  const auto found = std::ranges::find(texts, name, &ShippedText::name);
  return found == texts.end() ? std::nullopt : std::optional(*found);
}

// A shipped recipe is for any machine: the places that it names are none.
void RequirePlaces(const Recipe& recipe, const Overrides& overrides, bool runs) {
  std::vector<std::string> missing;
  const auto require = [&](std::string_view pointer, const char* name) {
    if (FindOverride(overrides, pointer) == nullptr) missing.emplace_back(name);
  };
  require(kSourceField, "source");
  require(kOutputField, "output");
  if (runs && ObservesInputs(recipe)) require(kDataField, "data");
  if (missing.empty()) return;
  throw Error(ErrorCode::kBadArgument, "the recipe " + recipe.shipped_as,
              "is for any machine and leaves open: " + JoinNames(missing),
              "Give them (--source, --output, --data)");
}

Recipe LoadShipped(const ShippedText& shipped, const Overrides& overrides, bool runs) {
  Recipe recipe = Parse(shipped, overrides);
  RequirePlaces(recipe, overrides, runs);
  return recipe;
}

Recipe LoadDefault(const fs::path& checkpoint, const Overrides& overrides, bool runs) {
  return LoadShipped(DefaultFor(checkpoint::OpenAnySourceModel(checkpoint)), overrides, runs);
}

// Of a word that stands for a checkpoint: its source.
void AddSource(const std::string& directory, Overrides& overrides) {
  if (const Override* given = FindOverride(overrides, kSourceField)) {
    throw Error(ErrorCode::kBadArgument, fmt::format("{} and {}", directory, given->Name()),
                "both name a source", "Give one of them");
  }
  overrides.insert(overrides.begin(), {std::string(kSourceField), directory, "the checkpoint"});
}

}  // namespace

std::vector<ShippedRecipe> ShippedRecipes() {
  std::vector<ShippedRecipe> recipes;
  for (const ShippedText& shipped : ShippedTexts()) {
    recipes.push_back(Introduce(Parse(shipped, {})));
  }
  return recipes;
}

std::vector<ShippedRecipe> FittingRecipes(const SourceModel& source) {
  std::vector<ShippedRecipe> recipes;
  for (const ShippedText& shipped : ShippedTexts()) {
    if (Fits(shipped, source)) recipes.push_back(Introduce(Parse(shipped, {})));
  }
  return recipes;
}

Recipe FindRecipe(const RecipeRequest& request) {
  const fs::path path = request.recipe;
  const auto shipped = FindShipped(request.recipe);
  if (fs::is_directory(path) && (!shipped || fs::exists(path / "config.json"))) {
    Overrides overrides = request.overrides;
    AddSource(request.recipe, overrides);
    return LoadDefault(path, overrides, request.runs);
  }
  if (!shipped || fs::exists(path)) return LoadRecipe(path, request.overrides);
  return LoadShipped(*shipped, request.overrides, request.runs);
}

Recipe FindDefaultRecipe(Overrides overrides, bool runs) {
  const Override* source = FindOverride(overrides, kSourceField);
  if (source == nullptr || !source->value.is_string()) {
    throw Error(ErrorCode::kBadArgument, "the recipe",
                "is missing, and so is a source to choose by", "Give one of them");
  }
  return LoadDefault(source->value.get<std::string>(), overrides, runs);
}

}  // namespace vernier::recipes

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
constexpr std::string_view kRecipeExtension = ".json";

Recipe Parse(const ShippedText& shipped, const Overrides& overrides) {
  Recipe recipe = ParseRecipe(shipped.text, fs::path(shipped.name), overrides);
  recipe.shipped_as = shipped.name;
  return recipe;
}

ShippedRecipe Introduce(const Recipe& recipe) {
  return {.name = recipe.shipped_as,
          .description = recipe.description,
          .models = recipe.models,
          .calibrates = ObservesInputs(recipe)};
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

// Those made for the model or for any, as far as anything can calibrate it.
std::vector<ShippedText> CandidatesFor(const SourceModel& source) {
  std::vector<ShippedText> candidates;
  for (const ShippedText& shipped : ShippedTexts()) {
    const Recipe recipe = Parse(shipped, {});
    if (!IsFor(recipe, source)) continue;
    if (source.family->guessed() && ObservesInputs(recipe)) continue;
    candidates.push_back(shipped);
  }
  return candidates;
}

// What is in the way of a plan.
std::optional<Error> Obstacle(const ShippedText& shipped, const SourceModel& source) {
  const std::string directory = source.checkpoint.directory().string();
  try {
    MakePlan(source, Parse(shipped, {{std::string(kSourceField), directory},
                                     {std::string(kOutputField), directory + ".out"}}));
    return std::nullopt;
  } catch (const Error& error) {
    return error;
  }
}

// Whether the model has nothing that the recipe is about, such as experts; otherwise it is what
// this model gets, and another format is nobody's guess.
bool IsBesideThePoint(const Error& obstacle) { return obstacle.code() == ErrorCode::kUnusedRule; }

ShippedText DefaultFor(const SourceModel& source) {
  const std::string directory = source.checkpoint.directory().string();
  for (const ShippedText& shipped : CandidatesFor(source)) {
    const std::optional<Error> obstacle = Obstacle(shipped, source);
    if (!obstacle) return shipped;
    if (IsBesideThePoint(*obstacle)) continue;
    throw Error(ErrorCode::kBadArgument, directory,
                fmt::format("does not fit the recipe {} that it gets by default: {}: {}",
                            shipped.name, obstacle->parts().subject, obstacle->parts().problem),
                fmt::format("Name another: `vernier recipes {}` lists those that fit", directory));
  }
  throw Error(ErrorCode::kBadArgument, directory, "has nothing that a shipped recipe is about",
              "Give a recipe of your own; `vernier inspect` shows what the checkpoint holds");
}

std::optional<ShippedText> FindShipped(std::string_view name) {
  const auto texts = ShippedTexts();
  const auto found = std::ranges::find(texts, name, &ShippedText::name);
  return found == texts.end() ? std::nullopt : std::optional(*found);
}

// A shipped recipe is for any machine: the places that it names are none.
void RequirePlaces(const Recipe& recipe, const Overrides& overrides, bool runs) {
  std::vector<std::string> missing;
  const auto require = [&](std::string_view pointer, const char* flag) {
    if (FindOverride(overrides, pointer) == nullptr) missing.emplace_back(flag);
  };
  require(kSourceField, "--source");
  require(kOutputField, "--output");
  if (runs && ObservesInputs(recipe)) require(kDataField, "--data");
  if (missing.empty()) return;
  const Override* data = FindOverride(overrides, kDataField);
  const bool swallowed = data != nullptr && data->value.size() > 1;
  throw Error(ErrorCode::kBadArgument, fmt::format("the recipe {}", recipe.shipped_as),
              fmt::format("needs {}", JoinNames(missing)),
              swallowed ? "Give that; all words behind --data are data, so put others before it"
                        : "Give that, for a checkpoint as in `vernier run DIR OUTPUT --data TEXT`");
}

Recipe LoadShipped(const ShippedText& shipped, const Overrides& overrides, bool runs) {
  Recipe recipe = Parse(shipped, overrides);
  RequirePlaces(recipe, overrides, runs);
  return recipe;
}

Recipe LoadDefault(const fs::path& checkpoint, const Overrides& overrides, bool runs) {
  return LoadShipped(DefaultFor(checkpoint::OpenAnySourceModel(checkpoint)), overrides, runs);
}

[[noreturn]] void ThrowNoRecipe(const std::string& word) {
  std::vector<std::string> names;
  for (const ShippedText& shipped : ShippedTexts()) names.emplace_back(shipped.name);
  const std::optional<std::string> near = NearestName(word, names);
  throw Error(ErrorCode::kBadArgument, fmt::format("\"{}\"", word),
              "is no recipe's file, no shipped recipe's name and no checkpoint's directory" +
                  (near ? fmt::format("; did you mean {}?", *near) : std::string()),
              "`vernier recipes` lists the names");
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
  bool decided = false;
  for (const ShippedText& shipped : CandidatesFor(source)) {
    const std::optional<Error> obstacle = Obstacle(shipped, source);
    if (!obstacle) {
      recipes.push_back(Introduce(Parse(shipped, {})));
      recipes.back().by_default = !decided;
    }
    decided |= !obstacle || !IsBesideThePoint(*obstacle);
  }
  return recipes;
}

Recipe FindRecipe(const RecipeRequest& request) {
  const fs::path path = request.recipe;
  if (fs::is_regular_file(path)) return LoadRecipe(path, request.overrides);
  if (const auto shipped = FindShipped(request.recipe)) {
    return LoadShipped(*shipped, request.overrides, request.runs);
  }
  if (fs::is_directory(path)) {
    Overrides overrides = request.overrides;
    AddSource(request.recipe, overrides);
    return LoadDefault(path, overrides, request.runs);
  }
  if (path.extension() == kRecipeExtension) return LoadRecipe(path, request.overrides);
  ThrowNoRecipe(request.recipe);
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

// Which of the shipped recipes fit a checkpoint, and what one is asked for by.
#include "recipes/shipped.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "checkpoint/families/family.h"
#include "recipes/shipped_texts.h"
#include "tests/recipes/skeleton_model.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier::recipes {
namespace {

namespace fs = std::filesystem;
using ::vernier::testing::ErrorOf;
using ::vernier::testing::TempDir;

const fs::path kModels = fs::path(VERNIER_TEST_DATA) / "models";

std::vector<std::string> Fitting(const checkpoint::SourceModel& source) {
  std::vector<std::string> names;
  for (const ShippedRecipe& recipe : FittingRecipes(source)) names.push_back(recipe.name);
  return names;
}

std::vector<std::string> Fitting(const char* model) {
  return Fitting(checkpoint::OpenAnySourceModel(kModels / model));
}

bool Lists(const std::vector<std::string>& names, const char* name) {
  return std::ranges::find(names, name) != names.end();
}

TEST(Shipped, AreTheFilesOfTheFolder) {
  const fs::path folder = fs::path(VERNIER_SOURCE_DIR) / "recipes";
  size_t files = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path& path = entry.path();
    if (path.extension() != ".json" || path.filename() == "recipe.schema.json") continue;
    files += path.filename() != "quickstart.json";  // has places of its own
  }
  EXPECT_EQ(ShippedTexts().size(), files);
  for (const ShippedText& shipped : ShippedTexts()) {
    EXPECT_EQ(shipped.text, ReadWholeFile(folder / (std::string(shipped.name) + ".json")));
  }
}

TEST(Shipped, SayWhatTheyMake) {
  for (const ShippedRecipe& recipe : ShippedRecipes()) {
    EXPECT_FALSE(recipe.description.empty()) << recipe.name;
  }
}

// On any machine, run after run.
TEST(Shipped, KeepTheirStateBesideTheOutput) {
  const Overrides places = {{"/source", "model"},
                            {"/output", "out"},
                            {"/calibration/data/*/path", Json::array({"text.jsonl"})}};
  for (const ShippedText& shipped : ShippedTexts()) {
    const Recipe recipe = FindRecipe({.recipe = std::string(shipped.name), .overrides = places});
    EXPECT_EQ(recipe.run_dir, "out.run") << shipped.name;
  }
}

TEST(Shipped, ForAnyModelStandBehindThoseForSome) {
  const std::vector<ShippedRecipe> recipes = ShippedRecipes();
  EXPECT_TRUE(std::ranges::is_sorted(
      recipes, {}, [](const ShippedRecipe& recipe) { return recipe.models.empty(); }));
}

TEST(Shipped, DefaultIsTheFamilysOwn) {
  EXPECT_EQ(Fitting("tiny-deepseek-v4").front(), "deepseek-v4-nvfp4-experts");
  EXPECT_EQ(Fitting("tiny-deepseek-v3").front(), "deepseek-v3-nvfp4");
  EXPECT_EQ(Fitting("tiny-qwen3-moe").front(), "qwen3-moe-nvfp4");
  TempDir directory;
  EXPECT_EQ(Fitting(vernier::testing::OpenSkeleton("qwen3_5_moe", directory.path() / "a")).front(),
            "qwen3.5-moe-nvfp4-fp8");
  EXPECT_EQ(Fitting(vernier::testing::OpenSkeleton("qwen3_5", directory.path() / "b")).front(),
            "qwen3.8-nvfp4-fp8");
}

TEST(Shipped, GeneralOnesFitByWhatTheModelHas) {
  EXPECT_EQ(Fitting("tiny-llama"),
            (std::vector<std::string>{"nvfp4", "nvfp4-mlp", "nvfp4-w4a16", "fp8", "mxfp8"}));
  EXPECT_TRUE(Lists(Fitting("tiny-qwen3-moe"), "nvfp4-experts"));
}

// FP8 experts cannot be cast without loss, and FP8 blocks may not stay beside NVFP4.
TEST(Shipped, OnesThatCannotBePlannedDoNotFit) {
  const std::vector<std::string> names = Fitting("tiny-deepseek-v3");
  EXPECT_FALSE(Lists(names, "deepseek-v4-nvfp4-experts"));
  EXPECT_FALSE(Lists(Fitting("tiny-llama"), "nvfp4-experts"));
}

// Nothing runs a model whose family is guessed.
TEST(Shipped, OfAGuessedFamilyOnlyThoseWithoutCalibrationFit) {
  TempDir directory;
  const fs::path copy = directory.path() / "model";
  fs::copy(kModels / "tiny-llama", copy);
  Json config = ParseJson(ReadWholeFile(copy / "config.json"), "config.json");
  config["model_type"] = "unheard_of";
  WriteFileAtomically(copy / "config.json", config.dump());
  EXPECT_EQ(Fitting(checkpoint::OpenAnySourceModel(copy)),
            (std::vector<std::string>{"nvfp4-w4a16", "mxfp8"}));
}

Overrides Places(const std::string& source = {}) {
  Overrides overrides = {{"/output", "out", "--output"},
                         {"/calibration/data/*/path", Json::array({"text.jsonl"}), "--data"}};
  if (!source.empty()) overrides.push_back({"/source", source, "--source"});
  return overrides;
}

TEST(FindRecipe, FindsAShippedOneByName) {
  const Recipe recipe = FindRecipe({.recipe = "nvfp4-mlp", .overrides = Places("model")});
  EXPECT_EQ(recipe.shipped_as, "nvfp4-mlp");
  EXPECT_EQ(recipe.source, "model");
  EXPECT_EQ(recipe.output, "out");
  EXPECT_EQ(recipe.run_dir, "out.run");
  EXPECT_EQ(recipe.calibration.data.sources.at(0).path, "text.jsonl");
}

TEST(FindRecipe, PrefersAFileOfThatPath) {
  const fs::path file = fs::path(VERNIER_SOURCE_DIR) / "recipes/nvfp4.json";
  EXPECT_EQ(FindRecipe({.recipe = file.string(), .overrides = {}}).shipped_as, "");
}

TEST(FindRecipe, TakesTheDefaultOfACheckpoint) {
  const std::string model = (kModels / "tiny-deepseek-v3").string();
  const Recipe recipe = FindRecipe({.recipe = model, .overrides = Places()});
  EXPECT_EQ(recipe.shipped_as, "deepseek-v3-nvfp4");
  EXPECT_EQ(recipe.source, model);
  EXPECT_EQ(FindDefaultRecipe(Places(model)).shipped_as, "deepseek-v3-nvfp4");
}

TEST(FindRecipe, AsksForWhatAShippedOneLeavesOpen) {
  const auto problem = [](const RecipeRequest& request) {
    return ErrorOf(ErrorCode::kBadArgument, [&] { FindRecipe(request); });
  };
  EXPECT_NE(problem({.recipe = "nvfp4", .overrides = {}}).find("--source, --output, --data"),
            std::string::npos);
  EXPECT_NE(problem({.recipe = "mxfp8", .overrides = {}}).find("--source, --output"),
            std::string::npos);
  FindRecipe(
      {.recipe = "nvfp4", .overrides = {{"/source", "model"}, {"/output", "out"}}, .runs = false});
}

TEST(FindRecipe, RefusesTwoSourcesAndNone) {
  const std::string model = (kModels / "tiny-llama").string();
  ErrorOf(ErrorCode::kBadArgument,
          [&] { FindRecipe({.recipe = model, .overrides = Places(model)}); });
  ErrorOf(ErrorCode::kBadArgument, [] { FindDefaultRecipe(Places()); });
  ErrorOf(ErrorCode::kBadArgument, [] { FindRecipe({.recipe = "no-such", .overrides = {}}); });
  ErrorOf(ErrorCode::kBadArgument, [] { FindRecipe({.recipe = "", .overrides = {}}); });
  ErrorOf(ErrorCode::kFileOpen, [] { FindRecipe({.recipe = "no-such.json", .overrides = {}}); });
}

// Such as the output of an earlier run.
TEST(FindRecipe, PrefersANameToADirectory) {
  TempDir directory;
  const fs::path here = fs::current_path();
  fs::copy(kModels / "tiny-llama", directory.path() / "nvfp4");
  fs::current_path(directory.path());
  EXPECT_EQ(FindRecipe({.recipe = "nvfp4", .overrides = Places("model")}).source, "model");
  EXPECT_EQ(FindRecipe({.recipe = "./nvfp4", .overrides = Places()}).source, "nvfp4");
  fs::current_path(here);
}

}  // namespace
}  // namespace vernier::recipes

// The table of options against the schema that is made of it, and against itself.
#include "recipes/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "recipes/overrides.h"
#include "recipes/recipe_schema.h"
#include "recipes/schema_message.h"
#include "tests/recipes/test_recipes.h"
#include "tests/support/expect_error.h"

namespace vernier::recipes {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::vernier::testing::ErrorOf;
using ::vernier::testing::MinimalDocument;
using ::vernier::testing::Parse;

const Json* SchemaAt(const std::string& pointer) {
  JsonPath path;
  for (size_t begin = 1; begin < pointer.size();) {
    const size_t end = std::min(pointer.find('/', begin), pointer.size());
    path.push_back(pointer.substr(begin, end - begin));
    begin = end + 1;
  }
  return FindSubschema(RecipeSchema(), path);
}

TEST(OptionsTest, EveryPointerIsAPropertyOfTheSchemaWithTheSameNamesAndBounds) {
  for (const Option& option : RecipeOptions()) {
    if (option.pointer.empty()) continue;
    const Json* schema = SchemaAt(option.pointer);
    ASSERT_NE(schema, nullptr) << option.pointer;
    EXPECT_TRUE(schema->contains("description")) << option.pointer;
    if (option.kind == ValueKind::kName) {
      EXPECT_EQ(schema->at("enum"), Json(option.names));
    }
    const std::pair<const char*, const Json&> bounds[] = {{"minimum", option.minimum},
                                                          {"exclusiveMinimum", option.above},
                                                          {"maximum", option.maximum}};
    for (const auto& [keyword, bound] : bounds) {
      EXPECT_EQ(schema->value(keyword, Json(nullptr)), bound) << option.pointer << " " << keyword;
    }
  }
}

TEST(OptionsTest, HelpIsOneSentenceAndDetailsAreWholeOnes) {
  for (const Option& option : RecipeOptions()) {
    EXPECT_FALSE(option.help.empty()) << option.name << option.pointer;
    EXPECT_FALSE(option.help.ends_with('.')) << option.help;
    EXPECT_TRUE(option.details.empty() || option.details.ends_with('.')) << option.details;
  }
}

TEST(OptionsTest, NoCommandTakesANameTwice) {
  std::map<std::string, std::string> taken;
  for (const Option& option : RecipeOptions()) {
    for (const char* command : {"run", "convert", "dequantize", "layertest", "trace", "eval"}) {
      if (!option.TakenBy(command)) continue;
      EXPECT_TRUE(taken.emplace(std::string(command) + option.name, "").second)
          << command << " " << option.name;
    }
  }
}

// Any field can be replaced, whether it has a flag or not.
TEST(OptionsTest, EveryFieldOfTheTopAndItsSectionsCanBeReplaced) {
  Recipe recipe = Parse(MinimalDocument());
  ApplyOverrides({{"/calibration/packing", "truncate"},
                  {"/export/dialect", "compressed-tensors"},
                  {"/activations", 0.5},
                  {"/importance", "weights.safetensors"},
                  {"/compute/save_interval", 1.5},
                  {"/description", "words"}},
                 recipe);
  EXPECT_EQ(recipe.calibration.data.packing, datasets::Packing::kTruncate);
  EXPECT_EQ(recipe.dialect, &dialects::kCompressedTensors);
  EXPECT_EQ(recipe.activations, ActivationScales::kConstant);
  EXPECT_EQ(recipe.constant_input_scale, 0.5f);
  EXPECT_EQ(recipe.importance, "weights.safetensors");
  EXPECT_EQ(recipe.compute.save_interval, 1.5);
  EXPECT_EQ(recipe.description, "words");
}

TEST(OptionsTest, AListOfPathsReplacesAllEntries) {
  Recipe recipe = Parse(MinimalDocument());
  recipe.calibration.data.sources[0].weight = 3;
  ApplyOverrides({{"/calibration/data/*/path", {"a.txt", "b/../c.txt"}, "--data"}}, recipe);
  ASSERT_EQ(recipe.calibration.data.sources.size(), 2u);
  EXPECT_EQ(recipe.calibration.data.sources[0].path, "a.txt");
  EXPECT_EQ(recipe.calibration.data.sources[0].weight, 1);
  EXPECT_EQ(recipe.calibration.data.sources[1].path, "c.txt");
  EXPECT_THAT(
      ErrorOf(ErrorCode::kBadArgument,
              [&] {
                ApplyOverrides({{"/calibration/data/*/path", {"a.txt", ""}, "--data"}}, recipe);
              }),
      HasSubstr("--data: is empty"));
}

TEST(OptionsTest, ErrorsNameAnOverrideAsItWasGiven) {
  Recipe recipe = Parse(MinimalDocument());
  EXPECT_THAT(ErrorOf(ErrorCode::kBadArgument,
                      [&] {
                        ApplyOverrides({{"/calibration/samples", 0}}, recipe);
                      }),
              HasSubstr("/calibration/samples: 0 is out of range"));
  EXPECT_THAT(ErrorOf(ErrorCode::kBadArgument,
                      [&] {
                        ApplyOverrides({{"/activations", 1e30, "--input-scale"}}, recipe);
                      }),
              HasSubstr("--input-scale"));
}

// What is missing in the file may come from the command line.
TEST(OptionsTest, ARecipeIsCheckedWithItsOverrides) {
  Json document = MinimalDocument();
  document.erase("calibration");
  const auto parse = [&](const Overrides& overrides) {
    return ParseRecipe(document.dump(), "/recipes/test.json", overrides);
  };
  EXPECT_THAT(ErrorOf(ErrorCode::kBadRecipe, [&] { parse({}); }),
              HasSubstr("there is no calibration data"));
  const Recipe recipe = parse({{"/calibration/data/*/path", {"a.txt"}, "--data"}});
  EXPECT_EQ(recipe.calibration.data.sources.size(), 1u);
  EXPECT_THAT(ErrorOf(ErrorCode::kBadArgument,
                      [&] {
                        parse({{"/calibration/data/*/path", {"a.txt"}, "--data"},
                               {"/output", "/recipes/in", "--output"}});
                      }),
              AllOf(HasSubstr("--output /recipes/in"), HasSubstr("source and output are both")));
}

}  // namespace
}  // namespace vernier::recipes

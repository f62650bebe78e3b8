// The recipes that come with Vernier.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>

#include "base/file.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "tests/recipes/test_recipes.h"

namespace vernier::recipes {
namespace {

const std::filesystem::path kRecipes = std::filesystem::path(VERNIER_SOURCE_DIR) / "recipes";

std::set<checkpoint::Role> QuantisedRoles(const char* recipe_name) {
  const checkpoint::SourceModel source = vernier::testing::OpenTinyModel();
  const Plan plan = MakePlan(source, LoadRecipe(kRecipes / recipe_name));
  std::set<checkpoint::Role> roles;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    if (plan.weights[i].format == TargetFormat::kNvfp4) roles.insert(source.layout.weights[i].role);
  }
  return roles;
}

TEST(ShippedRecipes, QuantiseTheRolesTheySay) {
  using checkpoint::Role;
  EXPECT_EQ(QuantisedRoles("quickstart.json"), std::set{Role::kRoutedExpert});
  EXPECT_EQ(QuantisedRoles("deepseek-v4-nvfp4-experts.json"), std::set{Role::kRoutedExpert});
  EXPECT_EQ(QuantisedRoles("deepseek-v4-nvfp4-full.json"),
            (std::set{Role::kAttention, Role::kSharedExpert, Role::kRoutedExpert}));
}

TEST(ShippedRecipes, QuickstartReadsWhatTheRepositoryHolds) {
  const Recipe recipe = LoadRecipe(kRecipes / "quickstart.json");
  EXPECT_TRUE(std::filesystem::exists(recipe.source / "config.json"));
  EXPECT_TRUE(std::filesystem::exists(recipe.calibration.data.sources.at(0).path));
}

TEST(ShippedRecipes, QuickstartExplainsEveryField) {
  const std::string text = ReadWholeFile(kRecipes / "quickstart.json");
  const Json schema = ParseJson(RecipeSchema(), "schema");
  for (const char* section : {"/properties", "/properties/calibration/properties",
                              "/properties/calibration/properties/data/items/properties",
                              "/properties/compute/properties"}) {
    for (const auto& [name, property] : schema.at(Json::json_pointer(section)).items()) {
      EXPECT_NE(text.find("\"" + name + "\":"), std::string::npos) << name;
    }
  }
}

TEST(ShippedRecipes, TheEmbeddedSchemaIsThePublishedOne) {
  EXPECT_EQ(RecipeSchema(), ReadWholeFile(kRecipes / "recipe.schema.json"));
}

}  // namespace
}  // namespace vernier::recipes

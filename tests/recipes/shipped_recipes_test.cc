// The recipes that come with Vernier.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>

#include "base/file.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "recipes/recipe_schema.h"
#include "recipes/target_format.h"
#include "tests/recipes/test_recipes.h"
#include "tests/support/expect_error.h"

namespace vernier::recipes {
namespace {

using ::vernier::testing::ErrorOf;

const std::filesystem::path kRecipes = std::filesystem::path(VERNIER_SOURCE_DIR) / "recipes";

std::set<checkpoint::Role> QuantisedRoles(const checkpoint::SourceModel& source, const Plan& plan) {
  std::set<checkpoint::Role> roles;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    if (IsQuantised(plan.weights[i].format)) roles.insert(source.layout.weights[i].role);
  }
  return roles;
}

std::set<checkpoint::Role> QuantisedRoles(const char* recipe_name) {
  const checkpoint::SourceModel source = vernier::testing::OpenTinyModel();
  return QuantisedRoles(source, MakePlan(source, LoadRecipe(kRecipes / recipe_name)));
}

TEST(ShippedRecipes, QuantiseTheRolesTheySay) {
  using checkpoint::Role;
  EXPECT_EQ(QuantisedRoles("quickstart.json"), std::set{Role::kRoutedExpert});
  EXPECT_EQ(QuantisedRoles("deepseek-v4-nvfp4-experts.json"), std::set{Role::kRoutedExpert});
  EXPECT_EQ(QuantisedRoles("deepseek-v4-nvfp4-full.json"),
            (std::set{Role::kAttention, Role::kSharedExpert, Role::kRoutedExpert}));
}

// A recipe for models of any family, and what it quantises where the model has it.
struct GeneralRecipe {
  const char* name;
  Format format;
  std::set<checkpoint::Role> roles;
};

void PrintTo(const GeneralRecipe& recipe, std::ostream* out) { *out << recipe.name; }

class GeneralRecipeTest : public ::testing::TestWithParam<GeneralRecipe> {
 protected:
  static checkpoint::SourceModel Open(const char* model) {
    return checkpoint::OpenSourceModel(std::filesystem::path(VERNIER_TEST_DATA) / "models" / model);
  }

  static Recipe Load(const std::string& kv_cache, Dialect dialect) {
    Recipe recipe = LoadRecipe(kRecipes / GetParam().name, {{"/export/kv_cache", kv_cache}});
    recipe.dialect = dialect;
    return recipe;
  }

  // In every dialect, with every cache.
  static void ExpectRoles(const checkpoint::SourceModel& source,
                          const std::set<checkpoint::Role>& roles) {
    for (const std::string kv_cache : {"none", "fp8", "fp8_cast"}) {
      for (const Dialect dialect : {&dialects::kModelopt, &dialects::kCompressedTensors}) {
        SCOPED_TRACE(kv_cache + " " + std::string(dialect->name));
        const Plan plan = MakePlan(source, Load(kv_cache, dialect));
        EXPECT_EQ(QuantisedRoles(source, plan), roles);
        for (size_t i = 0; i < plan.weights.size(); ++i) {
          const bool taken =
              source.layout.weights[i].linear && roles.contains(source.layout.weights[i].role);
          const Format kept = plan.weights[i].folded() ? formats::kBf16 : kKeep;
          EXPECT_EQ(plan.weights[i].format, taken ? GetParam().format : kept)
              << source.layout.weights[i].name;
        }
        EXPECT_EQ(plan.kv_cache == KvCache::kNone, kv_cache == "none");
      }
    }
  }

  static std::set<checkpoint::Role> Common(std::set<checkpoint::Role> roles) {
    std::erase_if(roles, [](checkpoint::Role role) { return !GetParam().roles.contains(role); });
    return roles;
  }
};

TEST_P(GeneralRecipeTest, FitsDenseModels) {
  const std::set<checkpoint::Role> roles =
      Common({checkpoint::Role::kAttention, checkpoint::Role::kDenseMlp});
  if (!roles.empty()) return ExpectRoles(Open("tiny-llama"), roles);
  ErrorOf(ErrorCode::kUnusedRule,
          [] { MakePlan(Open("tiny-llama"), Load("none", &dialects::kModelopt)); });
}

TEST_P(GeneralRecipeTest, FitsModelsWithExperts) {
  ExpectRoles(Open("tiny-qwen3-moe"),
              Common({checkpoint::Role::kAttention, checkpoint::Role::kDenseMlp,
                      checkpoint::Role::kRoutedExpert}));
  ExpectRoles(Open("tiny-deepseek-v3"),
              Common({checkpoint::Role::kAttention, checkpoint::Role::kDenseMlp,
                      checkpoint::Role::kSharedExpert, checkpoint::Role::kRoutedExpert}));
}

TEST_P(GeneralRecipeTest, FitsTiedHeadsAndBiases) {
  if (Common({checkpoint::Role::kDenseMlp}).empty()) return;
  for (const char* model : {"llama3_tied", "qwen2"}) {
    ExpectRoles(Open(model), Common({checkpoint::Role::kAttention, checkpoint::Role::kDenseMlp}));
  }
}

using checkpoint::Role;
INSTANTIATE_TEST_SUITE_P(
    Recipes, GeneralRecipeTest,
    ::testing::Values(GeneralRecipe{"nvfp4.json",
                                    formats::kNvfp4,
                                    {Role::kAttention, Role::kDenseMlp, Role::kSharedExpert,
                                     Role::kRoutedExpert}},
                      GeneralRecipe{"nvfp4-mlp.json",
                                    formats::kNvfp4,
                                    {Role::kDenseMlp, Role::kSharedExpert, Role::kRoutedExpert}},
                      GeneralRecipe{"nvfp4-experts.json", formats::kNvfp4, {Role::kRoutedExpert}},
                      GeneralRecipe{"nvfp4-w4a16.json",
                                    formats::kNvfp4,
                                    {Role::kAttention, Role::kDenseMlp, Role::kSharedExpert,
                                     Role::kRoutedExpert}},
                      GeneralRecipe{"fp8.json",
                                    formats::kFp8Tensor,
                                    {Role::kAttention, Role::kDenseMlp, Role::kSharedExpert,
                                     Role::kRoutedExpert}},
                      GeneralRecipe{"mxfp8.json",
                                    formats::kMxfp8,
                                    {Role::kAttention, Role::kDenseMlp, Role::kSharedExpert,
                                     Role::kRoutedExpert}}));

TEST(ShippedRecipes, WeightsAloneNeedNoCalibration) {
  for (const char* name : {"nvfp4-w4a16.json", "mxfp8.json"}) {
    EXPECT_FALSE(ObservesInputs(LoadRecipe(kRecipes / name))) << name;
  }
}

TEST(ShippedRecipes, QuickstartReadsWhatTheRepositoryHolds) {
  const Recipe recipe = LoadRecipe(kRecipes / "quickstart.json");
  EXPECT_TRUE(std::filesystem::exists(recipe.source / "config.json"));
  EXPECT_TRUE(std::filesystem::exists(recipe.calibration.data.sources.at(0).path));
}

TEST(ShippedRecipes, QuickstartExplainsEveryField) {
  const std::string text = ReadWholeFile(kRecipes / "quickstart.json");
  const Json& schema = RecipeSchema();
  for (const char* section : {"/properties", "/properties/calibration/properties",
                              "/properties/calibration/properties/data/items/properties",
                              "/properties/compute/properties", "/properties/export/properties"}) {
    for (const auto& [name, property] : schema.at(Json::json_pointer(section)).items()) {
      EXPECT_NE(text.find("\"" + name + "\":"), std::string::npos) << name;
    }
  }
}

TEST(ShippedRecipes, ThePublishedSchemaIsThatOfTheTable) {
  EXPECT_EQ(RecipeSchemaText(), ReadWholeFile(kRecipes / "recipe.schema.json"))
      << "Write it anew: vernier schema > recipes/recipe.schema.json";
}

}  // namespace
}  // namespace vernier::recipes

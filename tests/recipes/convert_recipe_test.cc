#include "recipes/convert_recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "recipes/plan.h"
#include "tests/recipes/test_recipes.h"
#include "tests/support/expect_error.h"
#include "tests/support/hf_model.h"
#include "tests/support/temp_dir.h"

namespace vernier::recipes {
namespace {

using ::testing::ElementsAre;
using ::vernier::testing::HfFormat;
using ::vernier::testing::MakeHfModel;
using ::vernier::testing::OpenTinyModel;

std::vector<std::string> Rules(const Recipe& recipe) {
  std::vector<std::string> rules;
  for (const Rule& rule : recipe.rules) rules.push_back(rule.Describe());
  return rules;
}

TEST(ConvertRecipe, ConvertsTheLinearRolesThatTheSourceHas) {
  const vernier::testing::TempDir directory;
  auto source = MakeHfModel(directory.path() / "in");
  const Recipe recipe = ConvertRecipe({.source = source, .output = "out"});
  EXPECT_THAT(
      Rules(recipe),
      ElementsAre("role attention -> nvfp4 (auto)", "role dense_mlp -> nvfp4 (auto)",
                  "role shared_expert -> nvfp4 (auto)", "role routed_expert -> nvfp4 (auto)"));
  EXPECT_EQ(recipe.source, directory.path() / "in");
  EXPECT_EQ(recipe.run_dir, "out.run");
  EXPECT_FALSE(ObservesInputs(recipe));
  for (size_t i = 0; i < source.layout.weights.size(); ++i) {
    const checkpoint::LogicalWeight& weight = source.layout.weights[i];
    const bool converted = MakePlan(source, recipe).weights[i].format == formats::kNvfp4;
    EXPECT_EQ(converted, weight.module.ends_with("_proj") && weight.layer < 2) << weight.module;
  }

  std::erase_if(source.layout.weights, [](const checkpoint::LogicalWeight& weight) {
    return weight.role != checkpoint::Role::kDenseMlp;
  });
  EXPECT_THAT(Rules(ConvertRecipe({.source = source, .output = "out"})),
              ElementsAre("role dense_mlp -> nvfp4 (auto)"));
}

TEST(ConvertRecipe, TakesOverWhatIsAsked) {
  const vernier::testing::TempDir directory;
  const auto source = MakeHfModel(directory.path() / "in");
  const Recipe recipe = ConvertRecipe({.source = source,
                                       .output = "out",
                                       .run_dir = "state",
                                       .weights = formats::kNvfp4,
                                       .scale = ScaleMethod::kMse,
                                       .dialect = &dialects::kCompressedTensors,
                                       .activations = ActivationScales::kConstant,
                                       .constant_input_scale = 2,
                                       .importance = "weights.safetensors",
                                       .threads = 3});
  EXPECT_EQ(recipe.run_dir, "state");
  EXPECT_FALSE(recipe.default_run_dir);
  EXPECT_EQ(recipe.rules.at(0).scale, ScaleMethod::kMse);
  EXPECT_EQ(recipe.dialect, &dialects::kCompressedTensors);
  EXPECT_EQ(recipe.activations, ActivationScales::kConstant);
  EXPECT_EQ(recipe.constant_input_scale, 2);
  EXPECT_EQ(recipe.importance, "weights.safetensors");
  EXPECT_EQ(recipe.compute.threads, 3);
  MakePlan(source, recipe);
}

TEST(ConvertRecipe, OfDeepseekV4TakesTheRoutedExperts) {
  const auto source = OpenTinyModel();
  const Recipe recipe = ConvertRecipe(
      {.source = source, .output = "out", .activations = ActivationScales::kConstant});
  EXPECT_THAT(Rules(recipe), ElementsAre("role routed_expert -> nvfp4 (auto)"));
  MakePlan(source, recipe);
}

TEST(ConvertRecipe, DequantisesWhatTheDialectCannotDescribe) {
  const vernier::testing::TempDir directory;
  auto source = MakeHfModel(directory.path() / "in", {.format = HfFormat::kNativeFp8});
  ConvertRequest request = {.source = source, .output = "out"};
  EXPECT_EQ(ConvertRecipe(request).rules.size(), 4u);
  for (checkpoint::LogicalWeight& weight : source.layout.weights) {
    if (weight.module == "model.layers.0.self_attn.o_proj") weight.role = checkpoint::Role::kMtp;
  }
  EXPECT_EQ(Rules(ConvertRecipe(request)).at(0), "name \"*\" -> bf16");
  MakePlan(source, ConvertRecipe(request));

  auto modelopt = MakeHfModel(directory.path() / "in", {.format = HfFormat::kModelopt});
  for (checkpoint::LogicalWeight& weight : modelopt.layout.weights) {
    if (weight.module == "model.layers.0.self_attn.o_proj") weight.role = checkpoint::Role::kMtp;
  }
  EXPECT_EQ(
      ConvertRecipe({.source = modelopt, .output = "out", .weights = formats::kMxfp8}).rules.size(),
      4u);
}

TEST(ConvertRecipe, RefusesWhatNoRuleWouldSay) {
  const vernier::testing::TempDir directory;
  const auto source = MakeHfModel(directory.path() / "in");
  for (const auto& [format, scale] : std::initializer_list<std::pair<Format, ScaleMethod>>{
           {kKeep, ScaleMethod::kAuto},
           {formats::kBf16, ScaleMethod::kMse},
           {formats::kMxfp8, ScaleMethod::kFourOverSix}}) {
    vernier::testing::ErrorOf(ErrorCode::kBadArgument, [&] {
      ConvertRecipe({.source = source, .output = "out", .weights = format, .scale = scale});
    });
  }
}

TEST(ConvertRecipe, NeedsThreePlaces) {
  const vernier::testing::TempDir directory;
  const auto source = MakeHfModel(directory.path() / "in");
  vernier::testing::ErrorOf(ErrorCode::kBadArgument, [&] {
    ConvertRecipe({.source = source, .output = directory.path() / "in"});
  });
}

TEST(DequantizeRecipe, LeavesNothingQuantised) {
  const auto source = OpenTinyModel();
  const Recipe recipe = DequantizeRecipe(source, "out");
  EXPECT_THAT(Rules(recipe), ElementsAre("name \"*\" -> bf16"));
  const Plan plan = MakePlan(source, recipe);
  size_t dequantised = 0;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const checkpoint::Format format = source.layout.weights[i].format;
    const bool quantised =
        format == checkpoint::formats::kFp8Block || format == checkpoint::formats::kMxfp4;
    EXPECT_EQ(plan.weights[i].format, quantised ? formats::kBf16 : kKeep);
    dequantised += quantised;
  }
  EXPECT_GT(dequantised, 120u);
  EXPECT_TRUE(plan.scale_groups.empty());
}

}  // namespace
}  // namespace vernier::recipes

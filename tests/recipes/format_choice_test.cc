#include "recipes/format_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "recipes/format_units.h"
#include "tests/recipes/test_recipes.h"
#include "tests/support/expect_error.h"

namespace vernier::recipes {
namespace {

using checkpoint::Role;
using checkpoint::SourceModel;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::vernier::testing::ErrorOf;
using ::vernier::testing::RecipeOf;

SourceModel OpenTestModel(const std::string& name) {
  return checkpoint::OpenSourceModel(std::filesystem::path(VERNIER_TEST_DATA) / "models" / name);
}

Recipe BudgetRecipe(SizeBudget budget, Format format = formats::kNvfp4) {
  Rule rule;
  rule.roles = {Role::kAttention, Role::kDenseMlp, Role::kSharedExpert, Role::kRoutedExpert};
  rule.format = format;
  Recipe recipe = RecipeOf({rule});
  recipe.budget = budget;
  return recipe;
}

// As if everything of `layer` were far worse than all else.
MeasuredErrors MakeErrors(const SourceModel& source, const Plan& plan, int layer) {
  MeasuredErrors measured;
  for (const std::string& block : plan.observed_blocks) measured.block_shares[block] = 0.5;
  std::vector<FormatError>& errors = measured.formats;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    if (!plan.weights[i].tried) continue;
    const checkpoint::LogicalWeight& weight = source.layout.weights[i];
    const double error = weight.layer == layer ? 0.1 : 0.0001;
    errors.push_back({weight.module, formats::kNvfp4, 100, 2.0, 2 * error});
    errors.push_back({weight.module, formats::kFp8Tensor, 100, 2.0, 0.2 * error});
  }
  return measured;
}

const FormatUnit& UnitNamed(const std::vector<FormatUnit>& units, const std::string& name) {
  return *std::ranges::find(units, name, &FormatUnit::name);
}

std::vector<Format> FormatsOf(const FormatUnit& unit) {
  std::vector<Format> formats;
  for (const FormatUnit::Option& option : unit.options) formats.push_back(option.format);
  return formats;
}

TEST(FormatUnits, AreWhatAnEngineFuses) {
  const SourceModel source = OpenTestModel("tiny-llama");
  const Plan plan = MakePlan(source, BudgetRecipe({.bits = 6}));
  const std::vector<FormatUnit> units = FormatUnits(source, plan);
  const FormatUnit& qkv = UnitNamed(units, "model.layers.0.self_attn.qkv");
  EXPECT_THAT(qkv.weights, SizeIs(3));
  EXPECT_EQ(FormatsOf(qkv), (std::vector<Format>{formats::kNvfp4, formats::kFp8Tensor, kKeep}));
  uint64_t weights = 0;
  for (const size_t weight : qkv.weights) {
    weights += static_cast<uint64_t>(source.layout.weights[weight].rows() *
                                     source.layout.weights[weight].columns());
  }
  EXPECT_EQ(qkv.options[0].bytes, weights / 2 + weights / 16 + 3 * 8);
  EXPECT_EQ(qkv.options[1].bytes, weights + 3 * 8);
  EXPECT_EQ(qkv.options[2].bytes, weights * 2);
}

TEST(FormatUnits, AllExpertsOfALayerAreOne) {
  const SourceModel source = OpenTestModel("mixtral");
  const Plan plan = MakePlan(source, BudgetRecipe({.bits = 6}));
  const std::vector<FormatUnit> units = FormatUnits(source, plan);
  const FormatUnit& experts = UnitNamed(units, "routed experts of layer 0");
  std::set<int> all, tried;
  for (const size_t weight : experts.weights) {
    all.insert(source.layout.weights[weight].expert);
    if (plan.weights[weight].tried) tried.insert(source.layout.weights[weight].expert);
  }
  EXPECT_EQ(experts.weights.size(), 3 * all.size());
  EXPECT_LE(tried.size(), static_cast<size_t>(kTriedExperts));
  EXPECT_GE(tried.size(), 1U);
}

// Its FP8 is what it was released in; fp8 with one scale would be another rounding.
TEST(FormatUnits, ASourceInFp8IsKeptOrBecomesNvfp4) {
  const SourceModel source = OpenTestModel("tiny-deepseek-v4");
  Recipe recipe = BudgetRecipe({.bits = 6});
  recipe.rules[0].roles = {Role::kAttention};
  const Plan plan = MakePlan(source, recipe);
  int found = 0;
  for (const FormatUnit& unit : FormatUnits(source, plan)) {
    const bool fp8 =
        source.layout.weights[unit.weights.front()].format != checkpoint::formats::kPlain;
    if (fp8) {
      ++found;
      EXPECT_EQ(FormatsOf(unit), (std::vector<Format>{formats::kNvfp4, kKeep}));
    }
  }
  EXPECT_GT(found, 0);
}

// Whatever is chosen, an engine is to load it beside the rest.
TEST(FormatUnits, EveryOptionMakesAPlan) {
  for (const char* model : {"tiny-llama", "mixtral", "tiny-deepseek-v3", "tiny-deepseek-v4"}) {
    const SourceModel source = OpenTestModel(model);
    for (const Dialect dialect : {&dialects::kModelopt, &dialects::kCompressedTensors}) {
      for (const bool converts_all : {false, true}) {
        Recipe recipe = BudgetRecipe({.bits = 6});
        recipe.dialect = dialect;
        recipe.rules[0].roles = {Role::kAttention, Role::kDenseMlp};
        if (std::string(model) == "tiny-deepseek-v4") {
          if (dialect == &dialects::kCompressedTensors && !converts_all) continue;
          recipe.rules[0].roles = {Role::kAttention};
        } else if (converts_all) {
          continue;
        }
        Rule all;
        all.name_glob = "*";
        all.format = formats::kBf16;
        if (converts_all) recipe.rules.insert(recipe.rules.begin(), all);
        const Plan plan = MakePlan(source, recipe);
        for (const FormatUnit& unit : FormatUnits(source, plan)) {
          EXPECT_GT(unit.options.size(), 1U) << model << " " << unit.name;
          for (const FormatUnit::Option& option : unit.options) {
            if (option.format == formats::kNvfp4) continue;
            Promotions promotions;
            for (const size_t weight : unit.weights) promotions[weight] = option.format;
            EXPECT_NO_THROW(MakePlan(source, recipe, promotions)) << model << " " << unit.name;
          }
        }
      }
    }
  }
}

// What is promoted first where all relative errors are the same.
std::set<int> FirstLayers(const SourceModel& source, const std::map<std::string, double>& shares) {
  const Recipe recipe = BudgetRecipe({.bits = 4.8});
  const Plan plan = MakePlan(source, recipe);
  MeasuredErrors measured = MakeErrors(source, plan, /*layer=*/-1);
  for (const auto& [block, share] : shares) measured.block_shares.at(block) = share;
  std::set<int> layers;
  for (const auto& [weight, format] :
       ChooseFormats(source, recipe, plan, measured, "the store").promotions) {
    layers.insert(source.layout.weights[weight].layer);
  }
  return layers;
}

TEST(FormatChoice, ErrorsCountByTheShareOfTheirBlockAndByDepth) {
  const SourceModel source = OpenTestModel("tiny-llama");
  ASSERT_EQ(source.family->Dims().layers, 3);
  // All others are 0.5. The middle counts half of the ends.
  EXPECT_FALSE(FirstLayers(source, {{AttentionBlock(1), 0.7}, {FfnBlock(1), 0.7}}).contains(1));
  EXPECT_EQ(FirstLayers(source, {{AttentionBlock(1), 2}, {FfnBlock(1), 2}}), std::set{1});
}

// A unit that loses nothing by FP8's absence keeps no other from what it was released in.
TEST(FormatChoice, WhatIsLeftGoesToTheReleasedFormat) {
  const SourceModel source = OpenTestModel("tiny-llama");
  const Recipe recipe = BudgetRecipe({.bits = 16});
  const Plan plan = MakePlan(source, recipe);
  MeasuredErrors measured = MakeErrors(source, plan, 1);
  for (FormatError& error : measured.formats) {
    if (error.module == "model.layers.0.mlp.down_proj") error.error = 0.5;  // in both formats
    if (error.module == "model.layers.2.mlp.down_proj") error.error = 0;
  }
  const FormatChoice choice = ChooseFormats(source, recipe, plan, measured, "the store");
  for (const FormatUnit& unit : FormatUnits(source, plan)) {
    const size_t weight = unit.weights.front();
    if (unit.name == "model.layers.2.mlp.down_proj") {
      EXPECT_FALSE(choice.promotions.contains(weight)) << "nothing is lost by it";
    } else {
      EXPECT_EQ(choice.promotions.at(weight), kKeep) << unit.name;
    }
  }
  EXPECT_EQ(choice.outcome.error, 0);
}

TEST(FormatChoice, SpendsWhereErrorsAreLargest) {
  for (const char* model : {"tiny-llama", "mixtral"}) {
    const SourceModel source = OpenTestModel(model);
    const Recipe recipe = BudgetRecipe({.bits = 5});
    const Plan plan = MakePlan(source, recipe);
    const FormatChoice choice =
        ChooseFormats(source, recipe, plan, MakeErrors(source, plan, 1), "the store");
    EXPECT_LE(choice.outcome.bits, 5);
    EXPECT_GT(choice.outcome.bits, choice.outcome.bits_in_nvfp4);
    EXPECT_LT(choice.outcome.error, choice.outcome.error_in_nvfp4);
    ASSERT_FALSE(choice.promotions.empty());
    const Plan chosen = MakePlan(source, recipe, choice.promotions);
    for (const FormatUnit& unit : FormatUnits(source, plan)) {
      std::set<Format> formats;
      for (const size_t weight : unit.weights) formats.insert(chosen.weights[weight].format);
      EXPECT_THAT(formats, SizeIs(1)) << unit.name;
    }
    for (const auto& [weight, format] : choice.promotions) {
      EXPECT_EQ(chosen.weights[weight].format, format);
      EXPECT_EQ(source.layout.weights[weight].layer, 1) << source.layout.weights[weight].module;
    }
  }
}

// What a plan says is what the files take.
TEST(FormatChoice, ASizeIsThatOfTheFiles) {
  const SourceModel source = OpenTestModel("tiny-llama");
  const uint64_t least = MakePlan(source, BudgetRecipe({})).OutputFileBytes();
  const Recipe recipe = BudgetRecipe({.bytes = least + 20000});
  const Plan plan = MakePlan(source, recipe);
  const FormatChoice choice =
      ChooseFormats(source, recipe, plan, MakeErrors(source, plan, 1), "the store");
  const uint64_t bytes = MakePlan(source, recipe, choice.promotions).OutputFileBytes();
  EXPECT_GT(bytes, least);
  EXPECT_LE(bytes, least + 20000);
  EXPECT_EQ(MostOutputBytes(source, BudgetRecipe({}), plan), least);
  EXPECT_GE(MostOutputBytes(source, recipe, plan), bytes);
}

// The calibration was made for them: gptq solved weights behind them.
TEST(FormatChoice, FoldsStay) {
  const SourceModel source = OpenTestModel("tiny-llama");
  Recipe recipe = BudgetRecipe({.bits = 6});
  recipe.rules[0].smooth = Smooth::kAuto;
  const Plan plan = MakePlan(source, recipe);
  const FormatChoice choice =
      ChooseFormats(source, recipe, plan, MakeErrors(source, plan, 1), "the store");
  ASSERT_FALSE(choice.promotions.empty());
  const Plan chosen = MakePlan(source, recipe, choice.promotions);
  ASSERT_EQ(chosen.folds.size(), plan.folds.size());
  for (size_t i = 0; i < plan.folds.size(); ++i) {
    EXPECT_EQ(chosen.folds[i].fold.name, plan.folds[i].fold.name);
  }
}

TEST(FormatChoice, AMeasuredCalibrationIsNeeded) {
  const SourceModel source = OpenTestModel("tiny-llama");
  const Recipe recipe = BudgetRecipe({.bits = 6});
  const Plan plan = MakePlan(source, recipe);
  EXPECT_VERNIER_ERROR(ChooseFormats(source, recipe, plan, {}, "the store"),
                       ErrorCode::kStoreIdentity, "calibrated without a budget");
}

TEST(FormatChoice, WhatCannotBeIsSaid) {
  const SourceModel source = OpenTestModel("tiny-llama");
  EXPECT_THAT(ErrorOf(ErrorCode::kBadRule, [&] { MakePlan(source, BudgetRecipe({.bits = 4})); }),
              HasSubstr("nvfp4 alone takes 4.5"));
  EXPECT_THAT(
      ErrorOf(ErrorCode::kBadRule, [&] { MakePlan(source, BudgetRecipe({.bytes = 1000})); }),
      HasSubstr("the weight files take"));
  EXPECT_THAT(ErrorOf(ErrorCode::kBadRule,
                      [&] { MakePlan(source, BudgetRecipe({.bits = 9}, formats::kMxfp8)); }),
              HasSubstr("no weight becomes nvfp4"));
  Recipe recipe = BudgetRecipe({.bits = 6});
  recipe.activations = ActivationScales::kConstant;
  EXPECT_THAT(ErrorOf(ErrorCode::kBadRule, [&] { MakePlan(source, recipe); }),
              HasSubstr("inputs are not calibrated"));
}

}  // namespace
}  // namespace vernier::recipes

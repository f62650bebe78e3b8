#include "recipes/plan_folds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "recipes/plan_shards.h"
#include "tests/recipes/test_recipes.h"
#include "tests/support/expect_error.h"

namespace vernier::recipes {
namespace {

using checkpoint::Role;
using checkpoint::SourceModel;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using ::vernier::testing::ErrorOf;
using ::vernier::testing::RecipeOf;

SourceModel OpenModel(const std::string& name) {
  return checkpoint::OpenSourceModel(std::filesystem::path(VERNIER_TEST_DATA) / "models" / name);
}

Rule SmoothRule(std::vector<Role> roles, Smooth smooth = Smooth::kAuto) {
  Rule rule;
  rule.roles = std::move(roles);
  rule.format = formats::kNvfp4;
  rule.smooth = smooth;
  return rule;
}

std::vector<std::string> Names(const Plan& plan) {
  std::vector<std::string> names;
  for (const PlannedFold& planned : plan.folds) names.push_back(planned.fold.name);
  return names;
}

TEST(PlanFolds, OfALlamaAllFour) {
  const SourceModel source = OpenModel("tiny-llama");
  const Plan plan = MakePlan(source, RecipeOf({SmoothRule({Role::kAttention, Role::kDenseMlp})}));
  ASSERT_EQ(plan.folds.size(), 12U);
  const std::vector<std::string> names = Names(plan);
  EXPECT_THAT(std::vector(names.begin(), names.begin() + 4),
              UnorderedElementsAre(
                  "model.layers.0.input_layernorm", "model.layers.0.self_attn.v_proj",
                  "model.layers.0.post_attention_layernorm", "model.layers.0.mlp.up_proj"));
  const size_t norm = source.layout.by_module.at("model.layers.0.input_layernorm");
  EXPECT_EQ(plan.weights[norm].format, formats::kBf16) << "it is written anew";
  EXPECT_TRUE(plan.weights[norm].folded());
  const size_t embedding = source.layout.by_module.at("model.embed_tokens");
  EXPECT_EQ(plan.weights[embedding].format, kKeep);
}

// Nothing changes but values.
TEST(PlanFolds, TheOutputHasTheTensorsOfAPlanWithout) {
  for (const char* model : {"tiny-llama", "qwen2", "mixtral", "tiny-deepseek-v3"}) {
    const SourceModel source = OpenModel(model);
    const std::vector<Role> roles = {Role::kAttention, Role::kDenseMlp, Role::kSharedExpert,
                                     Role::kRoutedExpert};
    const Plan plain = MakePlan(source, RecipeOf({SmoothRule(roles, Smooth::kNone)}));
    const Plan smooth = MakePlan(source, RecipeOf({SmoothRule(roles)}));
    EXPECT_THAT(plain.folds, IsEmpty());
    ASSERT_GT(smooth.folds.size(), 0U) << model;
    EXPECT_EQ(smooth.container->Frame(source, PlannedFiles(smooth), 0).head,
              plain.container->Frame(source, PlannedFiles(plain), 0).head)
        << model;
    EXPECT_EQ(smooth.OutputFileBytes(), plain.OutputFileBytes());
  }
}

TEST(PlanFolds, ABiasIsDividedWithItsRows) {
  const SourceModel source = OpenModel("qwen2");
  const Plan plan = MakePlan(source, RecipeOf({SmoothRule({Role::kAttention})}));
  const size_t bias = source.layout.by_module.at("model.layers.0.self_attn.v_proj.bias");
  EXPECT_GE(plan.weights[bias].row_fold, 0);
  EXPECT_EQ(plan.weights[bias].format, formats::kBf16);
}

// Router, shared and routed experts read one norm, and calibration looks at the router.
TEST(PlanFolds, ExpertsShareTheNormsFactors) {
  const SourceModel source = OpenModel("mixtral");
  const Plan plan =
      MakePlan(source, RecipeOf({SmoothRule({Role::kAttention, Role::kRoutedExpert})}));
  const auto norm = std::ranges::find(plan.folds, "model.layers.0.post_attention_layernorm",
                                      [](const PlannedFold& planned) { return planned.fold.name; });
  ASSERT_NE(norm, plan.folds.end());
  const std::string router = "model.layers.0.block_sparse_moe.gate";
  EXPECT_EQ(source.layout.weights[norm->observed].module, router);
  EXPECT_THAT(plan.observed_modules, ::testing::Contains(router));
  EXPECT_TRUE(ChoosesFold(source.layout, plan, router));
  int experts = 0;
  for (const size_t weight : norm->fold.consumers) {
    experts += source.layout.weights[weight].role == Role::kRoutedExpert;
  }
  EXPECT_EQ(static_cast<size_t>(experts) + 1, norm->fold.consumers.size()) << "w1, w3 and router";
}

TEST(PlanFolds, OnlyWhereAllThatReadAreSmooth) {
  const SourceModel source = OpenModel("tiny-llama");
  Rule not_smooth = SmoothRule({}, Smooth::kNone);
  not_smooth.name_glob = "*.0.self_attn.o_proj";
  const Plan plan = MakePlan(source, RecipeOf({SmoothRule({Role::kAttention}), not_smooth}));
  EXPECT_THAT(Names(plan),
              ElementsAre("model.layers.0.input_layernorm", "model.layers.1.input_layernorm",
                          "model.layers.1.self_attn.v_proj", "model.layers.2.input_layernorm",
                          "model.layers.2.self_attn.v_proj"));
}

// Experts alone: what reads the same norm and is to stay as released stays.
TEST(PlanFolds, MatricesThatKeepTheirBitsKeepTheirValues) {
  const SourceModel source = OpenModel("tiny-deepseek-v3");
  const Plan plan = MakePlan(source, RecipeOf({SmoothRule({Role::kRoutedExpert})}));
  EXPECT_THAT(Names(plan), Each(HasSubstr(".experts.")));
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    if (source.layout.weights[i].role == Role::kRoutedExpert) continue;
    EXPECT_EQ(plan.weights[i].format, kKeep) << source.layout.weights[i].name;
  }
}

// Nor are rows divided of what is to stay as released.
TEST(PlanFolds, ProducersThatKeepTheirBitsKeepTheirValues) {
  const SourceModel source = OpenModel("tiny-llama");
  Rule only = SmoothRule({});
  only.name_glob = "*.o_proj";
  EXPECT_THAT(ErrorOf(ErrorCode::kBadRule, [&] { MakePlan(source, RecipeOf({only})); }),
              HasSubstr("no norm or layer before"));
  only.smooth = Smooth::kEffort;
  Recipe recipe = RecipeOf({only});
  recipe.effort = Effort::kBalanced;
  EXPECT_THAT(MakePlan(source, recipe).folds, IsEmpty());
}

TEST(PlanFolds, CachedValuesKeepTheirScales) {
  const SourceModel source = OpenModel("tiny-llama");
  Recipe recipe = RecipeOf({SmoothRule({Role::kAttention})});
  for (const KvCache kv_cache : {KvCache::kFp8, KvCache::kFp8Cast}) {
    for (const Dialect dialect : {&dialects::kModelopt, &dialects::kCompressedTensors}) {
      recipe.kv_cache = kv_cache;
      recipe.dialect = dialect;
      EXPECT_THAT(Names(MakePlan(source, recipe)), Each(HasSubstr("input_layernorm")));
    }
  }
}

TEST(PlanFolds, ARuleWithoutAFoldIsRefused) {
  const SourceModel source = OpenModel("tiny-llama");
  const auto refusal = [&](const Recipe& recipe) {
    return ErrorOf(ErrorCode::kBadRule, [&] { MakePlan(source, recipe); });
  };
  Rule rule = SmoothRule({Role::kAttention});
  rule.format = formats::kFp8Channel;
  EXPECT_THAT(refusal(RecipeOf({rule})), HasSubstr("no norm or layer before"));
  Recipe recipe = RecipeOf({SmoothRule({Role::kAttention})});
  recipe.activations = ActivationScales::kNone;
  EXPECT_THAT(refusal(recipe), HasSubstr("inputs are not calibrated"));
}

}  // namespace
}  // namespace vernier::recipes

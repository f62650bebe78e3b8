// What rules say of layers, of input scales, and of matching nothing.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "recipes/plan.h"
#include "tests/recipes/test_recipes.h"
#include "tests/support/expect_error.h"

namespace vernier::recipes {
namespace {

using ::vernier::testing::ErrorOf;

checkpoint::SourceModel OpenMoe() {
  return checkpoint::OpenSourceModel(std::filesystem::path(VERNIER_TEST_DATA) /
                                     "models/tiny-qwen3-moe");
}

Plan PlanOf(const checkpoint::SourceModel& source, const char* rules) {
  Json document = vernier::testing::MinimalDocument();
  document["quantize"] = ParseJson(rules, "rules");
  return MakePlan(source, vernier::testing::Parse(document));
}

std::set<int> LayersIn(const checkpoint::SourceModel& source, const Plan& plan, Format format) {
  std::set<int> layers;
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    if (plan.weights[i].format == format) layers.insert(source.layout.weights[i].layer);
  }
  return layers;
}

TEST(RuleLayers, AreThoseOfTheModel) {
  const checkpoint::SourceModel source = OpenMoe();  // three layers
  const Plan plan = PlanOf(source, R"([{"role": "attention", "format": "nvfp4"},
                                       {"role": "attention", "layers": [0, -1], "format": "fp8"}])");
  EXPECT_EQ(LayersIn(source, plan, formats::kFp8Tensor), (std::set{0, 2}));
  EXPECT_EQ(LayersIn(source, plan, formats::kNvfp4), std::set{1});
}

TEST(RuleLayers, OfNoModelAreAnUnusedRule) {
  ErrorOf(ErrorCode::kUnusedRule, [] {
    PlanOf(OpenMoe(), R"([{"role": "attention", "layers": [[7, 9]], "format": "fp8"}])");
  });
}

TEST(RuleActivations, OfARuleReplaceThoseOfTheRecipe) {
  const checkpoint::SourceModel source = OpenMoe();
  const Plan plan = PlanOf(source, R"([{"role": "attention", "format": "fp8"},
      {"role": "routed_expert", "format": "nvfp4", "activations": "none"},
      {"role": "lm_head", "format": "nvfp4", "activations": 0.5}])");
  std::set<std::string> observed(plan.observed_modules.begin(), plan.observed_modules.end());
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const checkpoint::LogicalWeight& weight = source.layout.weights[i];
    const WeightPlan& planned = plan.weights[i];
    if (!IsQuantised(planned.format)) continue;
    EXPECT_EQ(planned.HasInputScale(), weight.role != checkpoint::Role::kRoutedExpert);
    EXPECT_EQ(observed.contains(weight.module), weight.role == checkpoint::Role::kAttention);
    const bool is_head = weight.role == checkpoint::Role::kLmHead;
    EXPECT_EQ(planned.input_scales.constant, is_head ? 0.5f : 1.0f);
  }
  for (const OutputShard& shard : plan.shards) {
    for (const OutputTensor& tensor : shard.tensors) {
      if (tensor.part != OutputPart::kInputScale) continue;
      EXPECT_TRUE(plan.weights[tensor.weight].HasInputScale()) << tensor.info.name;
    }
  }
}

TEST(RuleActivations, AreOneForWhatEnginesFuse) {
  ErrorOf(ErrorCode::kBadRule, [] {
    PlanOf(OpenMoe(), R"([{"role": "attention", "format": "nvfp4"},
        {"name": "*.q_proj", "format": "nvfp4", "activations": "none"}])");
  });
}

TEST(RuleActivations, DecideWhetherAnythingIsObserved) {
  Json document = vernier::testing::MinimalDocument();
  EXPECT_TRUE(ObservesInputs(vernier::testing::Parse(document)));
  document["quantize"][0]["activations"] = 1.0;
  EXPECT_FALSE(ObservesInputs(vernier::testing::Parse(document)));
  document["activations"] = "none";
  document["quantize"][0]["activations"] = "calibrated";
  EXPECT_TRUE(ObservesInputs(vernier::testing::Parse(document)));
}

TEST(RuleOptional, MayMatchNothing) {
  ErrorOf(ErrorCode::kUnusedRule,
          [] { PlanOf(OpenMoe(), R"([{"name": "*", "format": "bf16"}])"); });
  const checkpoint::SourceModel source = OpenMoe();
  const Plan plan = PlanOf(source, R"([{"name": "*", "format": "bf16", "optional": true},
                                       {"role": "attention", "format": "fp8"}])");
  EXPECT_EQ(LayersIn(source, plan, formats::kFp8Tensor), (std::set{0, 1, 2}));
}

}  // namespace
}  // namespace vernier::recipes

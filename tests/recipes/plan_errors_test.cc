#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "recipes/plan.h"
#include "recipes/target_format.h"
#include "tests/recipes/test_recipes.h"
#include "tests/support/expect_error.h"

namespace vernier::recipes {
namespace {

using checkpoint::Role;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::vernier::testing::ErrorOf;
using ::vernier::testing::NameRule;
using ::vernier::testing::OpenTinyModel;
using ::vernier::testing::RecipeOf;
using ::vernier::testing::RoleRule;

class PlanErrorsTest : public ::testing::Test {
 protected:
  std::string BadRule(std::vector<Rule> rules) const {
    return ErrorOf(ErrorCode::kBadRule, [&] { MakePlan(source_, RecipeOf(std::move(rules))); });
  }
  std::string QuantiseByName(const std::string& glob) const {
    return BadRule({NameRule(glob, formats::kNvfp4)});
  }

  checkpoint::SourceModel source_ = OpenTinyModel();
};

TEST_F(PlanErrorsTest, ARuleMustMatchSomething) {
  const std::string message = ErrorOf(ErrorCode::kUnusedRule, [&] {
    MakePlan(source_, RecipeOf({RoleRule(Role::kRoutedExpert, ScaleMethod::kAuto),
                                NameRule("layers.99.*", kKeep)}));
  });
  EXPECT_THAT(message, HasSubstr("/quantize/1 (name \"layers.99.*\" -> keep)"));
  ErrorOf(ErrorCode::kUnusedRule,
          [&] { MakePlan(source_, RecipeOf({RoleRule(Role::kDenseMlp, ScaleMethod::kAuto)})); });
}

// One list serves dense models and those with experts.
TEST_F(PlanErrorsTest, OneRoleOfAListMustMatchSomething) {
  Rule rule = RoleRule(Role::kDenseMlp, ScaleMethod::kAuto);
  rule.roles.push_back(Role::kSharedExpert);
  const Plan plan = MakePlan(source_, RecipeOf({rule}));
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const bool shared = source_.layout.weights[i].role == Role::kSharedExpert;
    EXPECT_EQ(plan.weights[i].format == formats::kNvfp4, shared) << source_.layout.weights[i].name;
  }
  rule.roles = {Role::kDenseMlp, Role::kOther};
  const std::string message =
      ErrorOf(ErrorCode::kUnusedRule, [&] { MakePlan(source_, RecipeOf({rule})); });
  EXPECT_THAT(message, HasSubstr("/quantize/0 (role dense_mlp, other -> nvfp4 (auto))"));
}

TEST_F(PlanErrorsTest, OnlyLinearLayersOfTheDecoderCanBeQuantised) {
  EXPECT_THAT(QuantiseByName("layers.0.attn_norm"),
              AllOf(HasSubstr("layers.0.attn_norm.weight is not the weight of a linear layer"),
                    HasSubstr("/quantize/0")));
  EXPECT_THAT(QuantiseByName("embed"), HasSubstr("embed.weight is not"));
  EXPECT_THAT(QuantiseByName("head"), HasSubstr("head.weight is outside the decoder layers"));
  EXPECT_THAT(QuantiseByName("mtp.*.w1"), HasSubstr("multi-token-prediction"));
  EXPECT_THAT(QuantiseByName("layers.0.ffn.gate.tid2eid"), HasSubstr("has format"));
}

TEST_F(PlanErrorsTest, ColumnsMustBeWholeBlocks) {
  checkpoint::LogicalWeight& weight = source_.layout.weights.at(static_cast<size_t>(
      source_.layout.FindModule("layers.0.attn.wo_b") - source_.layout.weights.data()));
  weight.shape[1] = 24;
  EXPECT_THAT(QuantiseByName("layers.0.attn.wo_b"), HasSubstr("24 columns, not a multiple of 16"));
}

TEST_F(PlanErrorsTest, NothingIsQuantisedToWhatItIs) {
  checkpoint::LogicalWeight& weight = source_.layout.weights.at(static_cast<size_t>(
      source_.layout.FindModule("layers.0.attn.wo_b") - source_.layout.weights.data()));
  weight.format = checkpoint::formats::kNvfp4;
  EXPECT_THAT(QuantiseByName("layers.0.attn.wo_b"), HasSubstr("is NVFP4 already"));
}

TEST_F(PlanErrorsTest, TheSourcesOwnFormatIsNoTarget) {
  EXPECT_THAT(BadRule({NameRule("layers.*.ffn.experts.*", formats::kMxfp4)}),
              HasSubstr("is MXFP4 already"));
  EXPECT_THAT(BadRule({NameRule("layers.0.attn.wo_b", formats::kFp8Block)}),
              HasSubstr("is FP8_BLOCK already"));
}

TEST_F(PlanErrorsTest, AMethodMustBeOneOfItsFormats) {
  EXPECT_THAT(BadRule({NameRule("layers.0.attn.wo_b", formats::kMxfp8, ScaleMethod::kMse)}),
              AllOf(HasSubstr("/quantize/0"), HasSubstr("mxfp8 has no scale method mse")));
}

TEST_F(PlanErrorsTest, HeadroomIsOfCalibratedInputs) {
  Recipe recipe =
      RecipeOf({NameRule("*", formats::kBf16), RoleRule(Role::kRoutedExpert, ScaleMethod::kMax)});
  recipe.activation_headroom = 1.5;
  MakePlan(source_, recipe);
  recipe.activations = ActivationScales::kConstant;
  EXPECT_THAT(ErrorOf(ErrorCode::kBadRule, [&] { MakePlan(source_, recipe); }),
              HasSubstr("activation_headroom"));
  recipe = RecipeOf({NameRule("*", formats::kBf16)});
  recipe.activation_headroom = 1.5;
  EXPECT_THAT(ErrorOf(ErrorCode::kBadRule, [&] { MakePlan(source_, recipe); }),
              HasSubstr("activation_headroom"));
}

TEST_F(PlanErrorsTest, HessiansAreOfCalibratedInputs) {
  for (const ScaleMethod method : {ScaleMethod::kLocalHessian, ScaleMethod::kGptq}) {
    Recipe recipe =
        RecipeOf({NameRule("*", formats::kBf16), RoleRule(Role::kRoutedExpert, method)});
    MakePlan(source_, recipe);
    for (const ActivationScales other : {ActivationScales::kNone, ActivationScales::kConstant}) {
      recipe.activations = other;
      EXPECT_THAT(
          ErrorOf(ErrorCode::kBadRule, [&] { MakePlan(source_, recipe); }),
          AllOf(HasSubstr(std::string(ScaleMethodName(method))), HasSubstr("not calibrated")));
    }
  }
}

TEST_F(PlanErrorsTest, BlocksOfOtherFormatsMustBeWholeToo) {
  checkpoint::LogicalWeight& weight = source_.layout.weights.at(static_cast<size_t>(
      source_.layout.FindModule("layers.0.attn.wo_b") - source_.layout.weights.data()));
  weight.shape[1] = 48;
  EXPECT_THAT(BadRule({NameRule("layers.0.attn.wo_b", formats::kMxfp8)}),
              HasSubstr("48 columns, not a multiple of 32"));
}

TEST_F(PlanErrorsTest, OnlyMxfp4IsCastLosslessly) {
  EXPECT_THAT(BadRule({RoleRule(Role::kAttention, ScaleMethod::kLossless)}),
              AllOf(HasSubstr("only MXFP4 can be cast without loss"), HasSubstr("layers.0.attn")));
}

TEST_F(PlanErrorsTest, FusedWeightsAreQuantisedTogether) {
  EXPECT_THAT(QuantiseByName("layers.0.attn.wq_a"),
              AllOf(HasSubstr("quantised only in part"), HasSubstr("layers.0.attn.wkv")));
  EXPECT_THAT(BadRule({RoleRule(Role::kSharedExpert, ScaleMethod::kMax),
                       NameRule("layers.0.ffn.shared_experts.w3", kKeep)}),
              HasSubstr("layers.0.ffn.shared_experts.w3 by /quantize/1"));
}

TEST_F(PlanErrorsTest, FusedWeightsShareTheirMethod) {
  EXPECT_THAT(BadRule({RoleRule(Role::kRoutedExpert, ScaleMethod::kLossless),
                       NameRule("layers.0.ffn.experts.0.w3", formats::kNvfp4, ScaleMethod::kMax)}),
              HasSubstr("different scale methods"));
}

TEST_F(PlanErrorsTest, ALayersExpertsAreQuantisedTogether) {
  EXPECT_THAT(BadRule({RoleRule(Role::kRoutedExpert, ScaleMethod::kAuto),
                       NameRule("layers.2.ffn.experts.4.*", kKeep)}),
              AllOf(HasSubstr("routed experts of layer 2"), HasSubstr("only in part")));
  EXPECT_THAT(QuantiseByName("layers.1.ffn.experts.*.w2"), HasSubstr("routed experts of layer 1"));
}

TEST_F(PlanErrorsTest, NewTensorsDoNotTakeKeptTensorsNames) {
  // A stray tensor that is named like one of the new ones.
  checkpoint::LogicalWeight& weight = source_.layout.weights.at(static_cast<size_t>(
      source_.layout.FindModule("layers.0.attn.wo_b") - source_.layout.weights.data()));
  weight.module = "layers.1.attn.wo_b";
  EXPECT_THAT(BadRule({NameRule("layers.1.attn.wo_b", formats::kNvfp4)}),
              HasSubstr("two tensors named layers.1.attn.wo_b.weight"));
}

}  // namespace
}  // namespace vernier::recipes

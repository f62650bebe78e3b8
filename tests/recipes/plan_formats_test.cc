// Plans for formats other than NVFP4, from sources of several conventions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "recipes/plan.h"
#include "recipes/plan_summary.h"
#include "tests/recipes/test_recipes.h"
#include "tests/support/expect_error.h"
#include "tests/support/hf_model.h"
#include "tests/support/temp_dir.h"

namespace vernier::recipes {
namespace {

using checkpoint::Role;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::vernier::testing::ErrorOf;
using ::vernier::testing::HfFormat;
using ::vernier::testing::NameRule;
using ::vernier::testing::RecipeOf;

class PlanFormatsTest : public ::testing::Test {
 protected:
  checkpoint::SourceModel Model(HfFormat format) {
    return vernier::testing::MakeHfModel(directory_.path(), {.format = format});
  }

  static Recipe Weights(Format format, Role role = Role::kAttention) {
    Rule rule;
    rule.roles = {role};
    rule.format = format;
    return RecipeOf({rule});
  }
  static Recipe WithBf16First(Recipe recipe) {
    recipe.rules.insert(recipe.rules.begin(), NameRule("*", formats::kBf16));
    return recipe;
  }

  static std::map<std::string, std::string> Outputs(const Plan& plan) {
    std::map<std::string, std::string> outputs;
    for (const OutputShard& shard : plan.shards) {
      for (const OutputTensor& tensor : shard.tensors) {
        outputs[tensor.info.name] = std::string(checkpoint::DTypeName(tensor.info.dtype)) +
                                    checkpoint::ShapeText(tensor.info.shape);
      }
    }
    return outputs;
  }

  static std::vector<std::string> Actions(const checkpoint::SourceModel& source, const Plan& plan,
                                          Role role) {
    std::vector<std::string> actions;
    for (const RoleSummary& row : SummarizePlan(source, plan).rows) {
      if (row.role == role) actions.push_back(row.action);
    }
    return actions;
  }

  std::string BadRule(const checkpoint::SourceModel& source, const Recipe& recipe) {
    return ErrorOf(ErrorCode::kBadRule, [&] { MakePlan(source, recipe); });
  }

  vernier::testing::TempDir directory_;
};

TEST_F(PlanFormatsTest, ARoleTakesItsLinearWeightsOnly) {
  const auto source = Model(HfFormat::kBf16);
  const Plan plan = MakePlan(source, Weights(formats::kMxfp8));
  EXPECT_THAT(Actions(source, plan, Role::kAttention), ElementsAre("keep", "mxfp8"));
  EXPECT_EQ(Outputs(plan).at("model.layers.0.self_attn.q_proj.bias"), "BF16[256]");
  EXPECT_EQ(Outputs(plan).at("model.layers.0.self_attn.q_proj.weight_scale"), "U8[256, 4]");
  ErrorOf(ErrorCode::kBadRule, [&] { MakePlan(source, Weights(formats::kMxfp8, Role::kNorm)); });
}

// What all values of a weight share, engines take to be one for a fused matrix.
TEST_F(PlanFormatsTest, AFusedGroupSharesTheScaleThatAWeightHas) {
  const auto source = Model(HfFormat::kBf16);
  for (const Format format : std::initializer_list<Format>{formats::kNvfp4, formats::kFp8Tensor}) {
    const Plan plan = MakePlan(source, Weights(format));
    ASSERT_EQ(plan.scale_groups.size(), 4u);
    EXPECT_EQ(plan.scale_groups[0].weights.size() + plan.scale_groups[1].weights.size(), 4u);
  }
  for (const Format format : std::initializer_list<Format>{formats::kMxfp4, formats::kFp8Channel}) {
    const Plan plan = MakePlan(source, Weights(format));
    ASSERT_EQ(plan.scale_groups.size(), 8u);
    for (size_t g = 0; g < plan.scale_groups.size(); ++g) {
      ASSERT_EQ(plan.scale_groups[g].weights.size(), 1u);
      EXPECT_EQ(plan.weights[plan.scale_groups[g].weights[0]].scale_group, g);
      EXPECT_EQ(plan.scale_groups[g].scale, ScaleMethod::kMax);
    }
  }
}

TEST_F(PlanFormatsTest, FusedWeightsHaveOneFormat) {
  const auto source = Model(HfFormat::kBf16);
  Recipe recipe = Weights(formats::kMxfp8);
  recipe.rules.push_back(NameRule("*.k_proj", formats::kFp8Channel));
  EXPECT_THAT(BadRule(source, recipe),
              HasSubstr("model.layers.0.self_attn.qkv: is quantised only"));
}

TEST_F(PlanFormatsTest, OnlyInputScalesNeedCalibration) {
  const auto source = Model(HfFormat::kBf16);
  for (const Format format : std::initializer_list<Format>{formats::kNvfp4, formats::kFp8Tensor}) {
    Recipe recipe = Weights(format);
    recipe.dialect = &dialects::kCompressedTensors;  // which has both without input scales as well
    EXPECT_TRUE(ObservesInputs(recipe));
    EXPECT_EQ(MakePlan(source, recipe).observed_modules.size(), 8u);
    for (const ActivationScales scales : {ActivationScales::kNone, ActivationScales::kConstant}) {
      recipe.activations = scales;
      EXPECT_FALSE(ObservesInputs(recipe));
      EXPECT_THAT(MakePlan(source, recipe).observed_modules, IsEmpty());
    }
  }
  for (const Format format : std::initializer_list<Format>{
           formats::kMxfp4, formats::kMxfp8, formats::kFp8Channel, formats::kFp8Block}) {
    EXPECT_FALSE(ObservesInputs(Weights(format)));
    EXPECT_THAT(MakePlan(source, Weights(format)).observed_modules, IsEmpty());
  }
}

TEST_F(PlanFormatsTest, ModeloptsFp8HasStaticInputScales) {
  const auto source = Model(HfFormat::kBf16);
  Recipe recipe = Weights(formats::kFp8Tensor);
  recipe.activations = ActivationScales::kNone;
  EXPECT_THAT(BadRule(source, recipe), HasSubstr("engines need input scales"));
}

TEST_F(PlanFormatsTest, InputScalesAreWrittenUnlessThereAreNone) {
  const auto source = Model(HfFormat::kBf16);
  const std::string name = "model.layers.0.self_attn.o_proj.input_scale";
  Recipe recipe = Weights(formats::kNvfp4);
  recipe.activations = ActivationScales::kConstant;
  EXPECT_TRUE(Outputs(MakePlan(source, recipe)).contains(name));
  recipe.activations = ActivationScales::kNone;
  EXPECT_FALSE(Outputs(MakePlan(source, recipe)).contains(name));
}

TEST_F(PlanFormatsTest, TheHeadNeedsInputScalesFromElsewhere) {
  const auto source = Model(HfFormat::kBf16);
  Recipe recipe = Weights(formats::kNvfp4, Role::kLmHead);
  EXPECT_THAT(BadRule(source, recipe), HasSubstr("outside the decoder layers"));
  recipe.activations = ActivationScales::kConstant;
  EXPECT_EQ(MakePlan(source, recipe).scale_groups.size(), 1u);
  EXPECT_EQ(MakePlan(source, Weights(formats::kMxfp8, Role::kLmHead)).scale_groups.size(), 1u);
}

TEST_F(PlanFormatsTest, MtpIsOnlyDequantised) {
  const auto source = Model(HfFormat::kBf16);
  EXPECT_THAT(BadRule(source, Weights(formats::kMxfp8, Role::kMtp)),
              HasSubstr("multi-token-prediction"));
  const auto v4 = vernier::testing::OpenTinyModel();
  const Plan plan = MakePlan(v4, Weights(formats::kBf16, Role::kMtp));
  EXPECT_THAT(Actions(v4, plan, Role::kMtp), ElementsAre("bf16", "keep"));
  EXPECT_TRUE(plan.scale_groups.empty());
}

TEST_F(PlanFormatsTest, Bf16TakesEveryScaleAway) {
  for (const HfFormat format : {HfFormat::kNativeFp8, HfFormat::kModelopt, HfFormat::kCompressed}) {
    const auto source = Model(format);
    const Plan plan = MakePlan(source, WithBf16First(RecipeOf({})));
    const auto plain = Model(HfFormat::kBf16);
    EXPECT_EQ(Outputs(plan), Outputs(MakePlan(plain, RecipeOf({}))));
  }
}

TEST_F(PlanFormatsTest, Bf16NeedsSomethingQuantised) {
  const auto source = Model(HfFormat::kBf16);
  const std::string message =
      ErrorOf(ErrorCode::kUnusedRule, [&] { MakePlan(source, WithBf16First(RecipeOf({}))); });
  EXPECT_THAT(message, HasSubstr("no quantised weight of the source matches"));
}

TEST_F(PlanFormatsTest, Bf16BesideWhatWasNeverQuantisedIsNoSplit) {
  auto source = Model(HfFormat::kNativeFp8);
  for (checkpoint::LogicalWeight& weight : source.layout.weights) {
    if (weight.module == "model.layers.0.self_attn.k_proj") {
      weight.format = checkpoint::formats::kPlain;
    }
  }
  MakePlan(source, WithBf16First(RecipeOf({})));
}

TEST_F(PlanFormatsTest, QuantisedSourcesCanBeRequantised) {
  const auto source = Model(HfFormat::kModelopt);
  Recipe recipe = WithBf16First(Weights(formats::kMxfp8));
  const auto outputs = Outputs(MakePlan(source, recipe));
  EXPECT_EQ(outputs.at("model.layers.0.self_attn.q_proj.weight"), "F8_E4M3[256, 128]");
  EXPECT_FALSE(outputs.contains("model.layers.0.self_attn.q_proj.input_scale"));
  EXPECT_THAT(BadRule(source, Weights(formats::kNvfp4)), HasSubstr("is NVFP4 already"));
}

TEST_F(PlanFormatsTest, KeptWeightsOfAnotherDialectAreRefused) {
  const auto compressed = Model(HfFormat::kCompressed);
  EXPECT_THAT(BadRule(compressed, Weights(formats::kMxfp8)),
              AllOf(HasSubstr("compressed-tensors convention"), HasSubstr("dialect modelopt")));
  Recipe recipe = Weights(formats::kMxfp8);
  recipe.dialect = &dialects::kCompressedTensors;
  MakePlan(compressed, recipe);

  const auto modelopt = Model(HfFormat::kModelopt);
  EXPECT_THAT(BadRule(modelopt, recipe), HasSubstr("modelopt convention"));
  MakePlan(modelopt, Weights(formats::kMxfp8));

  const auto native = Model(HfFormat::kNativeFp8);
  EXPECT_THAT(BadRule(native, recipe), HasSubstr("the model's own convention"));
  MakePlan(native, WithBf16First(recipe));
}

TEST_F(PlanFormatsTest, BesideNativeBlocksOnlyDeepseekV4HasNvfp4) {
  const auto native = Model(HfFormat::kNativeFp8);
  EXPECT_THAT(BadRule(native, Weights(formats::kNvfp4)),
              AllOf(HasSubstr("no engine loads it there for the model_type test_hf"),
                    HasSubstr("\"bf16\"")));
  MakePlan(native, Weights(formats::kBf16));
  MakePlan(native, WithBf16First(Weights(formats::kNvfp4)));

  const auto v4 = vernier::testing::OpenTinyModel();
  Recipe recipe = Weights(formats::kNvfp4, Role::kRoutedExpert);
  MakePlan(v4, recipe);
  recipe.activations = ActivationScales::kNone;
  EXPECT_THAT(BadRule(v4, recipe), HasSubstr("engines need input scales there"));
  EXPECT_THAT(BadRule(v4, Weights(formats::kMxfp8, Role::kRoutedExpert)),
              HasSubstr("no engine loads it there"));
}

TEST_F(PlanFormatsTest, NewFp8BlocksFollowANativeSource) {
  const auto v4 = vernier::testing::OpenTinyModel();
  const auto outputs = Outputs(MakePlan(v4, Weights(formats::kFp8Block, Role::kRoutedExpert)));
  EXPECT_THAT(outputs.at("layers.0.ffn.experts.0.w1.weight"), HasSubstr("F8_E4M3"));
  EXPECT_THAT(outputs.at("layers.0.ffn.experts.0.w1.scale"), HasSubstr("F8_E8M0"));
  EXPECT_FALSE(outputs.contains("layers.0.ffn.experts.0.w1.weight_scale"));
}

TEST_F(PlanFormatsTest, Int4NeedsCompressedTensors) {
  const auto source = Model(HfFormat::kBf16);
  Recipe recipe = Weights(formats::kInt4);
  EXPECT_THAT(BadRule(source, recipe), AllOf(HasSubstr("/quantize/0"), HasSubstr("pre_quant_scale"),
                                             HasSubstr("compressed-tensors")));
  recipe.dialect = &dialects::kCompressedTensors;
  EXPECT_EQ(Outputs(MakePlan(source, recipe)).at("model.layers.1.self_attn.v_proj.weight_packed"),
            "I32[256, 16]");
}

TEST_F(PlanFormatsTest, FieldsWithoutUseAreRefused) {
  const auto source = Model(HfFormat::kBf16);
  Recipe recipe = Weights(formats::kNvfp4);
  recipe.importance = "weights.safetensors";
  recipe.rules[0].scale = ScaleMethod::kMax;
  EXPECT_THAT(BadRule(source, recipe), AllOf(HasSubstr("importance"), HasSubstr("\"mse\"")));
  recipe.rules[0].scale = ScaleMethod::kMse;
  MakePlan(source, recipe);

  Recipe constant = Weights(formats::kMxfp4);
  constant.activations = ActivationScales::kConstant;
  EXPECT_THAT(BadRule(source, constant), HasSubstr("no weight gets a format with input scales"));
}

TEST_F(PlanFormatsTest, SummaryKnowsTheMethods) {
  const auto source = Model(HfFormat::kBf16);
  Recipe recipe = Weights(formats::kNvfp4);
  recipe.rules[0].scale = ScaleMethod::kMse;
  Plan plan = MakePlan(source, recipe);
  EXPECT_THAT(Actions(source, plan, Role::kAttention), Contains("nvfp4 (mse)"));
  plan = MakePlan(source, Weights(formats::kMxfp4));
  EXPECT_THAT(Actions(source, plan, Role::kAttention), Contains("mxfp4 (max)"));
}

}  // namespace
}  // namespace vernier::recipes

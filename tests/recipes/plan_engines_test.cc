// What engines would not load is refused or said before it is written.
#include "recipes/plan_engines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/recipes/test_recipes.h"
#include "tests/support/expect_error.h"
#include "tests/support/hf_model.h"
#include "tests/support/source_tree.h"
#include "tests/support/temp_dir.h"

namespace vernier::recipes {
namespace {

using checkpoint::Role;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::vernier::testing::ErrorOf;
using ::vernier::testing::HfFormat;
using ::vernier::testing::RecipeOf;

class PlanEnginesTest : public ::testing::Test {
 protected:
  PlanEnginesTest() : source_(vernier::testing::MakeHfModel(directory_.path())) {}

  static Recipe Weights(Format format, Role role, Dialect dialect,
                        ActivationScales activations = ActivationScales::kNone) {
    Rule rule;
    rule.roles = {role};
    rule.format = format;
    Recipe recipe = RecipeOf({rule});
    recipe.dialect = dialect;
    recipe.activations = activations;
    return recipe;
  }

  std::string Refusal(const Recipe& recipe) const {
    return ErrorOf(ErrorCode::kBadRule, [&] { MakePlan(source_, recipe); });
  }
  // Of a plan for FP8 blocks in attention of which `module` has that many rows and columns.
  std::vector<std::string> Warnings(Dialect dialect, const std::string& module, int64_t rows,
                                    int64_t columns) {
    const auto index = source_.layout.by_module.at("model.layers.0.self_attn." + module);
    const std::vector<int64_t> shape = source_.layout.weights[index].shape;
    source_.layout.weights[index].shape = {rows, columns};
    std::vector<std::string> warnings =
        MakePlan(source_, Weights(formats::kFp8Block, Role::kAttention, dialect)).warnings;
    source_.layout.weights[index].shape = shape;
    return warnings;
  }

  vernier::testing::TempDir directory_;
  checkpoint::SourceModel source_;
};

constexpr Dialect kModeloptRow = &dialects::kModelopt;
constexpr Dialect kCompressedRow = &dialects::kCompressedTensors;

TEST_F(PlanEnginesTest, ModeloptHasNoExpertsInFp8ByRowsOrBlocks) {
  for (const Format format :
       std::initializer_list<Format>{formats::kFp8Channel, formats::kFp8Block}) {
    EXPECT_THAT(Refusal(Weights(format, Role::kRoutedExpert, kModeloptRow)),
                AllOf(HasSubstr("routed experts"), HasSubstr("no engine loads it"),
                      HasSubstr("compressed-tensors")));
    MakePlan(source_, Weights(format, Role::kRoutedExpert, kCompressedRow));
    MakePlan(source_, Weights(format, Role::kAttention, kModeloptRow));
    MakePlan(source_, Weights(format, Role::kSharedExpert, kModeloptRow));
  }
  for (const Format format : std::initializer_list<Format>{formats::kNvfp4, formats::kFp8Tensor}) {
    MakePlan(source_,
             Weights(format, Role::kRoutedExpert, kModeloptRow, ActivationScales::kConstant));
  }
}

TEST_F(PlanEnginesTest, CompressedTensorsExpertsWithOneFp8ScaleNeedOneForInputs) {
  EXPECT_THAT(
      Refusal(Weights(formats::kFp8Tensor, Role::kRoutedExpert, kCompressedRow)),
      AllOf(HasSubstr("no engine loads it"), HasSubstr("fp8_channel"), HasSubstr("--input-scale")));
  MakePlan(source_, Weights(formats::kFp8Tensor, Role::kRoutedExpert, kCompressedRow,
                            ActivationScales::kConstant));
  MakePlan(source_, Weights(formats::kFp8Tensor, Role::kAttention, kCompressedRow));
  MakePlan(source_, Weights(formats::kNvfp4, Role::kRoutedExpert, kCompressedRow));
}

// Blocks in the source's own convention, which engines read with code of another name.
TEST_F(PlanEnginesTest, NativeBlocksOfExpertsAreNoneOfModelopts) {
  const auto v4 = vernier::testing::OpenTinyModel();
  MakePlan(v4, Weights(formats::kFp8Block, Role::kRoutedExpert, kModeloptRow));
}

TEST_F(PlanEnginesTest, WholeSidesAreNotWarnedAbout) {
  for (const Dialect dialect : {kModeloptRow, kCompressedRow}) {
    EXPECT_THAT(Warnings(dialect, "q_proj", 256, 128), IsEmpty());
  }
}

TEST_F(PlanEnginesTest, APartOfAFusedMatrixEndsAtABlock) {
  for (const Dialect dialect : {kModeloptRow, kCompressedRow}) {
    EXPECT_THAT(Warnings(dialect, "q_proj", 320, 128),
                ElementsAre(AllOf(HasSubstr("q_proj has 320 rows"), HasSubstr("vLLM"),
                                  HasSubstr("fp8_channel"))));
    // The smallest comes last.
    EXPECT_THAT(Warnings(dialect, "v_proj", 192, 128), IsEmpty());
    // It stands alone.
    EXPECT_THAT(Warnings(dialect, "o_proj", 320, 256), IsEmpty());
  }
}

TEST_F(PlanEnginesTest, OnlyModeloptsReaderWantsWholeColumns) {
  EXPECT_THAT(Warnings(kModeloptRow, "o_proj", 128, 320),
              ElementsAre(AllOf(HasSubstr("320 columns"), HasSubstr("refused by vLLM;"))));
  EXPECT_THAT(Warnings(kCompressedRow, "o_proj", 128, 320), IsEmpty());
}

TEST_F(PlanEnginesTest, GatesOfExpertsEndAtBlocks) {
  for (checkpoint::LogicalWeight& weight : source_.layout.weights) {
    if (weight.role == Role::kRoutedExpert && !weight.fused_group.empty()) {
      weight.shape = {192, weight.columns()};
    }
  }
  const Plan plan =
      MakePlan(source_, Weights(formats::kFp8Block, Role::kRoutedExpert, kCompressedRow));
  EXPECT_THAT(plan.warnings, ElementsAre(AllOf(HasSubstr("192 rows"), HasSubstr("as in 3 more"),
                                               HasSubstr("vLLM and SGLang"))));
}

TEST(PlanEnginesOfFamiliesTest, SingleExpertsOfGptOssAreWarnedOf) {
  const checkpoint::SourceModel source =
      checkpoint::OpenSourceModel(vernier::testing::kTestModels / "gpt_oss");
  const auto warnings = [&](Role role) {
    Rule rule;
    rule.roles = {role};
    rule.format = formats::kNvfp4;
    Recipe recipe = RecipeOf({rule});
    recipe.activations = ActivationScales::kNone;
    return MakePlan(source, recipe).warnings;
  };
  EXPECT_THAT(warnings(Role::kRoutedExpert),
              ElementsAre(AllOf(HasSubstr("routed experts in nvfp4"), HasSubstr("vLLM"))));
  EXPECT_THAT(warnings(Role::kAttention), IsEmpty());
}

}  // namespace
}  // namespace vernier::recipes

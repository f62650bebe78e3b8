// What layer tests of conversions must find, and what they refuse.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "calib/layertest/layer_test.h"
#include "tests/calib/layer_comparison_fixture.h"
#include "tests/support/expect_error.h"
#include "tests/support/synthetic_checkpoint.h"

namespace vernier::calib {
namespace {

void ExpectExact(const std::optional<ErrorStats>& stats, const std::string& what) {
  ASSERT_TRUE(stats.has_value()) << what;
  EXPECT_GT(stats->rows, 0) << what;
  EXPECT_EQ(stats->relative_error, 0) << what;
  EXPECT_EQ(stats->cosine, 1) << what;
  EXPECT_TRUE(std::isinf(stats->sqnr_db)) << what;
  EXPECT_EQ(stats->max_abs_error, 0) << what;
}

TEST_F(LayerComparisonTest, ALosslessCastHasNoWeightErrorAnywhere) {
  const LayerTestResult result = Test(Path("lossless"));
  EXPECT_EQ(result.tokens, 40 + 7 + 25);
  // wq_a, wq_b, wkv, wo_a, wo_b, indexer.wq_b; three of the shared expert and of each routed one.
  EXPECT_EQ(result.linears.size(), 6 + 3 + 3 * result.routed_experts.size());
  EXPECT_GE(result.routed_experts.size(), 3u);
  ForEachStage(result, [](const std::string& what, const StageErrors& errors) {
    ExpectExact(errors.weights, what);
    ASSERT_TRUE(errors.activations && errors.both) << what;
    EXPECT_GT(errors.activations->relative_error, 0) << what;
    EXPECT_EQ(errors.both->relative_error, errors.activations->relative_error) << what;
  });
  int64_t routed = 0;
  for (const ExpertResult& expert : result.routed_experts) routed += expert.errors.weights->rows;
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(Path("source"));
  EXPECT_EQ(routed, result.tokens * source.family->Dims().experts_per_token);
}

TEST_F(LayerComparisonTest, CoarseWeightsAndActivationsAddUp) {
  const LayerTestResult result = Test(Path("coarse"));
  for (const ExpertResult& expert : result.routed_experts) {
    const StageErrors& errors = expert.errors;
    EXPECT_GT(errors.weights->relative_error, 0);
    EXPECT_GT(errors.both->relative_error, 0.9 * errors.weights->relative_error);
    EXPECT_GT(errors.both->relative_error, 0.9 * errors.activations->relative_error);
    EXPECT_LT(errors.both->relative_error,
              1.1 * (errors.weights->relative_error + errors.activations->relative_error));
  }
  EXPECT_GT(result.output.weights->relative_error, 0);
  EXPECT_GE(result.output.both->relative_error, 0.9 * result.output.weights->relative_error);
  ExpectExact(FindLinear(result, "layers.2.attn.wq_a").errors.weights, "kept in FP8");
  EXPECT_EQ(FindLinear(result, "layers.2.ffn.shared_experts.w1").activations, "fp8-group");
}

TEST_F(LayerComparisonTest, BatchesGroupsAndFilesDoNotMatter) {
  const LayerTestResult one = Test(Path("coarse"));
  budget_.spill_hidden = true;
  const LayerTestResult files = Test(Path("coarse"));
  budget_ = {.batch_size = 1, .query_chunk = 64, .experts_per_group = 1};
  const LayerTestResult cut = Test(Path("coarse"));
  std::map<std::string, double> errors;
  ForEachStage(one, [&](const std::string& what, const StageErrors& stage) {
    errors[what] = stage.both->relative_error;
  });
  ForEachStage(files, [&](const std::string& what, const StageErrors& stage) {
    EXPECT_EQ(stage.both->relative_error, errors.at(what)) << what;
  });
  // Products of other row counts may differ in the last bits, and with them a rounding.
  ForEachStage(cut, [&](const std::string& what, const StageErrors& stage) {
    EXPECT_NEAR(stage.both->relative_error, errors.at(what), 0.02 * errors.at(what)) << what;
  });
}

TEST_F(LayerComparisonTest, TheFirstLayerNeedsNoOther) {
  const LayerTestResult result = Test(Path("coarse"), 0);
  EXPECT_EQ(result.layer, 0);
  EXPECT_GT(result.output.both->relative_error, 0);
}

TEST_F(LayerComparisonTest, WeightOnlyExpertsHaveNoActivationError) {
  const LayerTestResult result = Test(Path("weights-only"));
  for (const LinearResult& linear : result.linears) {
    if (linear.expert < 0) continue;
    EXPECT_EQ(linear.activations, "none");
    EXPECT_TRUE(linear.errors.weights && !linear.errors.activations && !linear.errors.both);
  }
  EXPECT_TRUE(result.output.weights && !result.output.activations && !result.output.both);
}

TEST_F(LayerComparisonTest, DialectsDoNotMatter) {
  const LayerTestResult modelopt = Test(Path("coarse")), packed = Test(Path("packed"));
  ASSERT_EQ(modelopt.linears.size(), packed.linears.size());
  for (size_t i = 0; i < packed.linears.size(); ++i) {
    const LinearResult &ours = packed.linears[i], &theirs = modelopt.linears[i];
    EXPECT_EQ(ours.module, theirs.module);
    if (ours.expert < 0) {
      EXPECT_EQ(ours.activations, "none") << ours.module;
      continue;
    }
    EXPECT_EQ(ours.activations, "nvfp4") << ours.module;
    // 1 / scale and back may change the last bit.
    for (const auto errors :
         {&StageErrors::weights, &StageErrors::activations, &StageErrors::both}) {
      const double error = (theirs.errors.*errors)->relative_error;
      EXPECT_NEAR((ours.errors.*errors)->relative_error, error, 1e-3 * error) << ours.module;
    }
  }
}

TEST_F(LayerComparisonTest, TheReleasedExpertsAreNotEmulated) {
  const LayerTestResult result = Test(Path("source"));
  for (const LinearResult& linear : result.linears) {
    ExpectExact(linear.errors.weights, linear.module);
    EXPECT_EQ(linear.activations, linear.expert < 0 ? "fp8-group" : "not-emulated");
    EXPECT_EQ(linear.errors.activations.has_value(), linear.expert < 0);
  }
  for (const ExpertResult& expert : result.routed_experts) {
    EXPECT_FALSE(expert.errors.activations || expert.errors.both) << expert.expert;
  }
  EXPECT_TRUE(result.shared_experts->activations.has_value());
}

TEST_F(LayerComparisonTest, WhatDoesNotFitIsRefused) {
  for (const int64_t layer : {-1, 3}) {
    EXPECT_VERNIER_ERROR(Test(Path("lossless"), layer), ErrorCode::kBadArgument, "--layer");
  }
  testing::WriteSyntheticDeepseekV4(Path("wide"), {.layers = 3, .experts = 6, .hidden = 256});
  EXPECT_VERNIER_ERROR(Test(Path("wide")), ErrorCode::kBadArgument, "hidden size is 256, not 128");
  testing::WriteSyntheticDeepseekV4(Path("deep"), {.layers = 4, .experts = 6});
  EXPECT_VERNIER_ERROR(Test(Path("deep")), ErrorCode::kBadArgument, "number of layers is 4, not 3");
  testing::WriteSyntheticDeepseekV4(Path("narrow"), {.layers = 3, .experts = 6, .moe_width = 32});
  EXPECT_VERNIER_ERROR(Test(Path("narrow")), ErrorCode::kWrongShape, "layers.2.ffn");
}

TEST_F(LayerComparisonTest, AMissingWeightIsNamed) {
  checkpoint::SourceModel source = checkpoint::OpenSourceModel(Path("source"));
  checkpoint::SourceModel other = checkpoint::OpenSourceModel(Path("lossless"));
  const std::string module = "layers.2.attn.wkv";
  auto& weights = other.layout.weights;
  std::erase_if(other.layout.by_module, [](const auto&) { return true; });
  std::erase_if(weights, [&](const auto& weight) { return weight.module == module; });
  for (size_t i = 0; i < weights.size(); ++i) other.layout.by_module[weights[i].module] = i;
  EXPECT_VERNIER_ERROR(RequireSameLayer(source, other, kComparedLayer), ErrorCode::kMissingTensor,
                       module);
  RequireSameLayer(source, other, 1);  // another layer's weights are not looked at
}

}  // namespace
}  // namespace vernier::calib

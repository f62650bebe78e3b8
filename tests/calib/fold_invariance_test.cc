// What a fold is for: every family's folds leave what the model computes as it is.
#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "checkpoint/config_facts.h"
#include "checkpoint/families/fold.h"
#include "checkpoint/weight_reader.h"
#include "recipes/fold_scales.h"
#include "tests/calib/model_support.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::calib {
namespace {

using checkpoint::Fold;
using checkpoint::LogicalWeight;
using checkpoint::SourceModel;

// Any folds, with factors between 1/4 and 4.
struct RandomFolds {
  explicit RandomFolds(const SourceModel& source) {
    plan.weights.resize(source.layout.weights.size());
    std::mt19937 random(1);
    std::uniform_real_distribution<float> exponent(-2, 2);
    for (Fold& fold : source.family->Folds(source.layout)) {
      const int index = static_cast<int>(plan.folds.size());
      for (const size_t weight : fold.producers) plan.weights[weight].row_fold = index;
      for (const size_t weight : fold.consumers) plan.weights[weight].column_fold = index;
      std::vector<float>& factors = scales.emplace_back();
      for (int64_t i = 0; i < fold.channels; ++i) factors.push_back(std::exp2(exponent(random)));
      plan.folds.push_back({.fold = std::move(fold)});
    }
  }

  recipes::Plan plan;
  recipes::FoldScales scales;
};

// The folded model in F32.
void WriteFolded(const SourceModel& source, const RandomFolds& folds,
                 const std::filesystem::path& directory) {
  const checkpoint::WeightReader reader(source.checkpoint);
  std::vector<testing::TestTensor> tensors;
  for (size_t i = 0; i < source.layout.weights.size(); ++i) {
    const LogicalWeight& weight = source.layout.weights[i];
    if (weight.format == checkpoint::formats::kInteger) {
      const checkpoint::TensorInfo& info = source.checkpoint.tensor(weight.main).info;
      tensors.push_back(
          {{info.name, info.dtype, info.shape}, std::vector<std::byte>(info.Bytes())});
      source.checkpoint.Read(weight.main, 0, tensors.back().bytes);
      continue;
    }
    std::vector<float> values(testing::ElementsOf(weight.shape));
    reader.ReadF32(weight, 0, weight.rows(), values);
    recipes::RescalingOf(folds.plan, folds.scales, i).Apply(0, weight.columns(), values);
    tensors.push_back(
        testing::MakeTensor(weight.name, checkpoint::DType::kF32, weight.shape, values));
  }
  Json config = source.checkpoint.config();
  for (const std::string& place : checkpoint::QuantizationConfigPlaces(config)) {
    const Json::json_pointer pointer(place);
    config.at(pointer.parent_pointer()).erase(pointer.back());
  }
  testing::WriteCheckpoint(directory, config, tensors, /*shards=*/1);
}

// Families whose folds would be missed: norms stored without their 1 among them.
TEST(Folds, FamiliesHaveSome) {
  for (const char* model : {"tiny-llama", "tiny-deepseek-v3", "qwen3_5_text", "qwen3_next",
                            "gemma3_text", "glm4_moe", "minimax_m2", "gpt_oss"}) {
    const SourceModel source = checkpoint::OpenSourceModel(kTestModels / model);
    EXPECT_FALSE(source.family->Folds(source.layout).empty()) << model;
  }
}

class FoldInvariance : public ::testing::TestWithParam<std::string> {};

TEST_P(FoldInvariance, LogitsStayWhatTheyAre) {
  const LoadedModel model(kTestModels / GetParam(), at::kFloat);
  const RandomFolds folds(model.source);
  if (folds.plan.folds.empty()) GTEST_SKIP() << "the family has no folds";
  const testing::TempDir directory;
  WriteFolded(model.source, folds, directory.path() / "folded");
  const LoadedModel folded(directory.path() / "folded", at::kFloat);
  at::manual_seed(1);
  const TokenBatch batch{at::randint(model.decoder->VocabSize(), {2, 24}, at::kLong), {}};
  const at::Tensor logits = RunModel(*model.decoder, batch).logits;
  EXPECT_LT(RelativeError(RunModel(*folded.decoder, batch).logits, logits), 1e-5);
}

// Every layer has its norms' and its MLPs', unless norms stand behind or matrices are stored as
// one.
TEST_P(FoldInvariance, EveryLayerIsFolded) {
  const LoadedModel model(kTestModels / GetParam(), at::kFloat);
  std::map<int, int> by_layer;
  for (const Fold& fold : model.source.family->Folds(model.source.layout)) ++by_layer[fold.layer];
  if (by_layer.empty()) GTEST_SKIP() << "the family has no folds";
  EXPECT_EQ(static_cast<int64_t>(by_layer.size()), model.decoder->Layers());
  for (const auto& [layer, count] : by_layer) EXPECT_GE(count, 2) << layer;
}

INSTANTIATE_TEST_SUITE_P(Models, FoldInvariance, ::testing::ValuesIn(TestModelNames()),
                         [](const auto& info) { return NameInTest(info.param); });

}  // namespace
}  // namespace vernier::calib

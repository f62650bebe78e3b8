// What a family gets for its one file: inspection, plans, conversion and audits of its checkpoints.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/progress.h"
#include "checkpoint/families/decoder_config.h"
#include "checkpoint/readable.h"
#include "checkpoint/source_model.h"
#include "jobs/convert.h"
#include "jobs/inspect.h"
#include "jobs/validate.h"
#include "recipes/convert_recipe.h"
#include "recipes/plan.h"
#include "tests/support/expect_error.h"
#include "tests/support/read_tensor.h"
#include "tests/support/stacked_model.h"
#include "tests/support/temp_dir.h"
#include "tests/toy_family/toy_checkpoint.h"

namespace vernier {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::Role;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ToyFamilyTest : public ::testing::Test {
 protected:
  ToyFamilyTest() { testing::WriteToyCheckpoint(source_); }

  const testing::TempDir dir_;
  const std::filesystem::path source_ = dir_.path() / "toy";
};

TEST_F(ToyFamilyTest, IsTheOnlyOneHere) {
  EXPECT_THAT(checkpoint::KnownModelTypes(), ElementsAre("toy"));
}

TEST_F(ToyFamilyTest, IsInspected) {
  const jobs::InspectReport report = jobs::Inspect(source_);
  EXPECT_FALSE(report.roles_guessed);
  EXPECT_EQ(report.layers, testing::kToyLayers);
  EXPECT_EQ(report.experts, 5);
  EXPECT_THAT(report.missing, IsEmpty());
  EXPECT_THAT(report.not_understood, IsEmpty());
  std::vector<std::string> roles;
  for (const jobs::InspectRole& role : report.roles) roles.push_back(role.role);
  EXPECT_THAT(roles, ElementsAre("embedding", "lm_head", "norm", "attention", "router", "dense_mlp",
                                 "routed_expert"));
}

TEST_F(ToyFamilyTest, NamesWhatItsWeightsAre) {
  const checkpoint::SourceModel model = checkpoint::OpenSourceModel(source_);
  const LogicalWeight* key = model.layout.FindModule("model.layers.1.attention.k_proj");
  ASSERT_NE(key, nullptr);
  EXPECT_EQ(key->shape, (std::vector<int64_t>{16, 48})) << "one key head in every second layer";
  EXPECT_EQ(key->fused_group, "model.layers.1.attention.qkv");
  EXPECT_EQ(key->projection, "k_proj");
  const LogicalWeight* expert =
      model.layout.FindModule("model.layers.3.feed_forward.experts.4.down_proj");
  ASSERT_NE(expert, nullptr);
  EXPECT_EQ(expert->role, Role::kRoutedExpert);
  EXPECT_EQ(expert->expert, 4);
  EXPECT_EQ(expert->experts_module, "model.layers.3.feed_forward.experts");
  EXPECT_THAT(model.family->KvCache(model.layout), ::testing::SizeIs(2 * testing::kToyLayers));
  EXPECT_FALSE(model.family->Folds(model.layout).empty());
}

TEST_F(ToyFamilyTest, ItsSizesAreThoseOfTheLargestLayers) {
  const checkpoint::ModelDims dims = checkpoint::MakeFamily(testing::ToyConfig())->Dims();
  EXPECT_EQ(dims.key_value_heads, 3);
  EXPECT_EQ(dims.max_keys, 0) << "half of the layers see everything";
  EXPECT_EQ(dims.mlp_width, 96);
  EXPECT_EQ(dims.experts, 5);
}

TEST_F(ToyFamilyTest, RefusesWhatItDoesNotCompute) {
  Json config = testing::ToyConfig();
  config["toy_gate"] = "sigmoid";
  EXPECT_VERNIER_ERROR(checkpoint::MakeFamily(config), ErrorCode::kBadConfig, "toy_gate");
}

class Unheard final : public ProgressListener {
 public:
  void Hear(const ProgressEvent&) override {}
};

TEST_F(ToyFamilyTest, IsConvertedAndWhatComesOfItLoads) {
  const std::filesystem::path output = dir_.path() / "out";
  Unheard nobody;
  jobs::Convert({.places = {.source = source_.string(), .output = output.string()},
                 .recipe = {},
                 .layouts = {},
                 .validate = true,
                 .command = {}},
                nobody);
  const checkpoint::SourceModel converted = checkpoint::OpenSourceModel(output);
  int64_t quantised = 0;
  for (const LogicalWeight& weight : converted.layout.weights) {
    const bool nvfp4 = weight.format == checkpoint::formats::kNvfp4;
    EXPECT_EQ(nvfp4, weight.quantisable() && weight.role != Role::kLmHead) << weight.name;
    quantised += nvfp4 ? 1 : 0;
  }
  EXPECT_EQ(quantised, 4 * 4 + 2 * 3 + 2 * 5 * 3) << "attention, dense MLPs, experts";
}

// The family's own rows say how its stacks lie.
TEST_F(ToyFamilyTest, StacksOfExpertsAreItsWeights) {
  const std::filesystem::path stacked = dir_.path() / "stacked";
  testing::StackExperts(source_, stacked, {.interleaved = true, .transposed = true});
  const checkpoint::SourceModel model = checkpoint::OpenSourceModel(stacked);
  const checkpoint::SourceModel apart = checkpoint::OpenSourceModel(source_);
  ASSERT_EQ(model.layout.weights.size(), apart.layout.weights.size());
  for (const checkpoint::LogicalWeight& expected : apart.layout.weights) {
    const checkpoint::LogicalWeight* weight = model.layout.FindName(expected.name);
    ASSERT_NE(weight, nullptr) << expected.name;
    EXPECT_EQ(testing::ReadWeight(model.checkpoint, *weight),
              testing::ReadWeight(apart.checkpoint, expected));
  }
  EXPECT_NO_THROW(RequireComplete(*model.family, model.layout));
}

// Two nibbles of a byte belong to one row: where columns are stored they are not taken apart.
TEST_F(ToyFamilyTest, TransposedNibblesAreRefused) {
  const std::filesystem::path nvfp4 = dir_.path() / "nvfp4", stacked = dir_.path() / "stacked";
  const std::filesystem::path output = dir_.path() / "out";
  Unheard nobody;
  jobs::ConvertSpec spec = {.places = {.source = source_.string(), .output = nvfp4.string()},
                            .recipe = {},
                            .layouts = {},
                            .command = {}};
  jobs::Convert(spec, nobody);
  testing::StackExperts(nvfp4, stacked, {.interleaved = true, .transposed = true});
  spec.places = {.source = stacked.string(), .output = output.string()};
  EXPECT_VERNIER_ERROR(
      jobs::Convert(spec, nobody), ErrorCode::kUnsupportedFormat,
      "model.layers.1.feed_forward.experts.down_proj: is NVFP4 with all experts of "
      "a layer in one tensor");
  EXPECT_FALSE(std::filesystem::exists(output));
}

}  // namespace
}  // namespace vernier

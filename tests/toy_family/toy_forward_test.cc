// What a family gets for its one file where there is libtorch: a forward pass, and calibration.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "run/module_record.h"
#include "tests/calib/model_support.h"
#include "tests/calib/prepared_calibration.h"
#include "tests/support/stacked_model.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/recipe_builder.h"
#include "tests/toy_family/toy_checkpoint.h"

namespace vernier::calib {
namespace {

constexpr int64_t kTokens = 20;

class ToyForwardTest : public ::testing::Test {
 protected:
  ToyForwardTest() { testing::WriteToyCheckpoint(source_); }

  const testing::TempDir dir_;
  const std::filesystem::path source_ = dir_.path() / "toy";
};

at::Tensor Ids() { return at::arange(kTokens, at::kLong).view({1, kTokens}); }

TEST_F(ToyForwardTest, RunsAndChunksDoNotMatter) {
  const LoadedModel model(source_, at::kFloat);
  EXPECT_EQ(model.decoder->Experts(0), 0);
  EXPECT_EQ(model.decoder->Experts(1), 5);
  const ModelOutput whole = RunModel(*model.decoder, {Ids(), {}});
  EXPECT_TRUE(at::isfinite(whole.logits).all().item<bool>());
  EXPECT_LT(RelativeError(RunModel(*model.decoder, {Ids(), {}}, 3).logits, whole.logits), 1e-5);
}

TEST_F(ToyForwardTest, StackedExpertsComputeTheSame) {
  const std::filesystem::path stacked = dir_.path() / "stacked";
  testing::StackExperts(source_, stacked, {.interleaved = true, .transposed = true});
  const LoadedModel apart(source_, at::kFloat), together(stacked, at::kFloat);
  EXPECT_TRUE(at::equal(RunModel(*apart.decoder, {Ids(), {}}).logits,
                        RunModel(*together.decoder, {Ids(), {}}).logits));
}

// A token that lies behind a window does not reach the layer's queries; without one it does.
TEST_F(ToyForwardTest, EverySecondLayerLooksBackAWindow) {
  const LoadedModel model(source_, at::kFloat);
  for (const int64_t layer : {0, 1}) {
    at::manual_seed(3);
    const at::Tensor hidden = at::randn({1, kTokens, 48});
    at::Tensor changed = hidden.clone();
    changed.select(1, 0).add_(1);
    Tap nobody;
    const auto last = [&](const at::Tensor& x) {
      return RunLayer(*model.decoder, layer, x, {Ids(), {}}, 512, nobody).select(1, kTokens - 1);
    };
    EXPECT_EQ(at::equal(last(hidden), last(changed)), layer == 1) << layer;
  }
}

TEST_F(ToyForwardTest, IsCalibrated) {
  testing::AddTokenizer(source_);
  Json json = testing::SyntheticRecipe(dir_.path(), source_, testing::kToyVocabulary,
                                       /*samples=*/4, /*sequence_length=*/32);
  json["quantize"] = {{{"role", {"attention", "routed_expert"}}, {"format", "nvfp4"}}};
  const PreparedCalibration calibration(
      recipes::LoadRecipe(testing::WriteRecipe(dir_.path(), json)));
  run::Store store = run::Store::Open(dir_.path() / "run");
  Progress progress = Progress::Silent();
  const CalibrationBudget budget = calibration.Budget(ComputeOf(calibration.recipe));
  Calibrate(calibration.Request(budget), store, progress);
  EXPECT_TRUE(store.CalibrationFinished());
  EXPECT_EQ(store.Inputs().size(), static_cast<size_t>(4 * 4 + 2 * 5 * 3));
  std::set<std::string> projections;
  for (const run::ModuleRecord& module : run::ListModules(store.database())) {
    projections.insert(module.role + " " + module.projection);
  }
  EXPECT_THAT(projections,
              ::testing::ElementsAre("attention k_proj", "attention o_proj", "attention q_proj",
                                     "attention v_proj", "routed_expert down_proj",
                                     "routed_expert gate_proj", "routed_expert up_proj"));
}

}  // namespace
}  // namespace vernier::calib

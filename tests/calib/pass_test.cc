// A pass through layers: its hooks, where it begins, and what it reads.
#include "calib/pass.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "calib/non_finite_guard.h"
#include "tests/calib/deepseek_v4_support.h"
#include "tests/calib/loop_support.h"
#include "tests/support/temp_dir.h"

namespace vernier::calib {
namespace {

constexpr int64_t kLayers = 3;

// Ends a pass.
struct KilledPass {};

class PassTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override { progress_.BeginPhase("pass", kLayers); }

  at::Tensor Run(PassStart start, const PassHooks& hooks = {}) {
    NonFiniteGuard guard(nobody_);
    return Values(*pass_.Run(std::move(start), kLayers, guard, {progress_}, hooks));
  }
  PassStart Beginning() const { return {.hidden = pass_.Embed("embedding")}; }

  at::Tensor Values(const SampleBuffer& hidden) const {
    return hidden.Get(0, tokens_.samples).clone();
  }

  testing::TempDir dir_;
  const TestModel model_{kTinyModel, at::kFloat};
  const datasets::CalibrationSet tokens_ = RandomTokens(5, 24, model_.decoder->VocabSize());
  const CalibrationBudget budget_{
      .batch_size = 2, .experts_per_group = 3, .spill_hidden = GetParam()};
  const Pass pass_{{.decoder = *model_.decoder,
                    .tokens = tokens_,
                    .budget = budget_,
                    .device = at::kCPU,
                    .compute_dtype = at::kFloat,
                    .directory = dir_.path()}};
  Tap nobody_;
  Progress progress_ = Progress::Silent();
};

TEST_P(PassTest, RunsTheLayersOfTheLoop) {
  const LoopResult loop = RunLayers({*model_.decoder, tokens_, {}, at::kCPU}, kLayers,
                                    {.batch_size = 2, .experts_per_group = 3});
  EXPECT_TRUE(at::equal(Run(Beginning()), loop.hidden));
}

TEST_P(PassTest, TellsOfEveryUnitAndEveryLayerInOrder) {
  std::vector<std::string> calls;
  Run(Beginning(), {.unit_done =
                        [&](int64_t layer, const LayerState& state) {
                          if (state.Fraction() == 1)
                            calls.push_back("unit " + std::to_string(layer));
                        },
                    .layer_done =
                        [&](int64_t layer, const LayerState& state) {
                          calls.push_back("layer " + std::to_string(layer));
                          return state.out();
                        }});
  EXPECT_EQ(calls, (std::vector<std::string>{"unit 0", "layer 0", "unit 1", "layer 1", "unit 2",
                                             "layer 2"}));
}

TEST_P(PassTest, GoesOnWithALayerThatWasBegun) {
  const at::Tensor whole = Run(Beginning());
  PassStart rest{.layer = 1, .hidden = {}};
  const auto stop = [&](int64_t layer, LayerState& state) {
    if (layer != 1 || state.place().stage != LayerStage::kExperts) return;
    rest.begun = std::move(state);
    throw KilledPass();
  };
  EXPECT_THROW(Run(Beginning(), {.unit_done = stop}), KilledPass);
  ASSERT_TRUE(rest.begun.has_value());
  EXPECT_TRUE(at::equal(Run(std::move(rest)), whole));
}

TEST_P(PassTest, ALayerReadsWhatTheHookReturnsForTheOneBefore) {
  const auto other = [&](std::string_view name) {
    auto hidden = std::make_shared<SampleBuffer>(pass_.loop().MakeHiddenBuffer(name));
    hidden->Put(0, Values(*Beginning().hidden) * 2);
    return hidden;
  };
  const at::Tensor replaced =
      Run(Beginning(), {.layer_done = [&](int64_t layer, const LayerState& state) {
            return layer == 1 ? other("replaced") : state.out();
          }});
  EXPECT_TRUE(at::equal(replaced, Run({.layer = 2, .hidden = other("given")})));
}

INSTANTIATE_TEST_SUITE_P(Places, PassTest, ::testing::Bool(), [](const auto& spilled) {
  return spilled.param ? "InFiles" : "InMemory";
});

}  // namespace
}  // namespace vernier::calib

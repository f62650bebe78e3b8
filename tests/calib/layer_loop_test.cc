// The loop's cuts (batches, expert groups, files) change memory, never results.
#include "calib/layer_loop.h"

#include <gtest/gtest.h>

#include "calib/recorder.h"
#include "checkpoint/source_model.h"
#include "tests/calib/loop_support.h"
#include "tests/support/temp_dir.h"

namespace vernier::calib {
namespace {

class LayerLoopTest : public ::testing::Test {
 protected:
  // The first three layers in F32: all kinds of attention and both kinds of routing.
  LoopResult Run(LayerLoopOptions options) {
    const LayerLoop loop(*decoder_, tokens_, at::kCPU, at::kFloat, options);
    auto hidden = std::make_shared<SampleBuffer>(loop.MakeHiddenBuffer("hidden"));
    loop.Embed(*hidden);
    Recorder recorder(modules_);
    NonFiniteGuard guard(recorder);
    LoopResult result;
    for (int64_t layer = 0; layer < 3; ++layer) {
      double last = 0;
      LayerState state = loop.MakeState(layer, hidden);
      loop.RunLayer(layer, state, guard, [&](const LayerState& reached) {
        EXPECT_GE(reached.Fraction(), last);
        last = reached.Fraction();
      });
      EXPECT_EQ(last, 1.0);
      for (run::InputAmax& input : TakeInputs(recorder, layer)) {
        result.inputs.push_back(std::move(input));
      }
      hidden = std::make_shared<SampleBuffer>(std::move(state.part(LayerPart::kOut)));
    }
    result.hidden = hidden->Get(0, tokens_.samples).clone();
    return result;
  }

  const run::InputAmax& Input(const LoopResult& result, const std::string& module) {
    return *std::ranges::find(result.inputs, module, &run::InputAmax::module);
  }

  testing::TempDir dir_;
  const checkpoint::SourceModel source_ =
      checkpoint::OpenSourceModel(VERNIER_TEST_DATA "/models/tiny-deepseek-v4");
  const TensorLoader loader_{source_, at::kCPU, at::kFloat};
  const std::unique_ptr<Decoder> decoder_ = MakeDecoder(loader_);
  datasets::CalibrationSet tokens_ = RandomTokens(5, 40, decoder_->VocabSize());
  std::vector<std::string> modules_ = [this] {
    std::vector<std::string> modules;
    for (const auto& weight : source_.layout.weights) {
      if (weight.role == checkpoint::Role::kRoutedExpert) modules.push_back(weight.module);
    }
    return modules;
  }();
};

TEST_F(LayerLoopTest, GroupsOfExpertsDoNotMatter) {
  ExpectSame(Run({.batch_size = 2, .experts_per_group = 1}),
             Run({.batch_size = 2, .experts_per_group = 8}));
}

TEST_F(LayerLoopTest, FilesDoNotMatter) {
  ExpectSame(Run({.batch_size = 2, .experts_per_group = 3}),
             Run({.batch_size = 2, .experts_per_group = 3, .spill_directory = dir_.path()}));
}

TEST_F(LayerLoopTest, EveryRealTokenReachesItsChoiceOfExperts) {
  const LoopResult result = Run({.batch_size = 5, .experts_per_group = 8});
  int64_t routed = 0;
  for (int expert = 0; expert < 8; ++expert) {
    routed += Input(result, "layers.1.ffn.experts." + std::to_string(expert) + ".w1").tokens;
  }
  EXPECT_EQ(routed, 5 * 40 * 3) << "tokens times experts per token";
}

TEST_F(LayerLoopTest, PaddingReachesNoExpert) {
  tokens_.lengths = {40, 7, 40, 1, 40};
  const LoopResult result = Run({.batch_size = 5, .experts_per_group = 8});
  int64_t routed = 0;
  for (int expert = 0; expert < 8; ++expert) {
    routed += Input(result, "layers.2.ffn.experts." + std::to_string(expert) + ".w2").tokens;
  }
  EXPECT_EQ(routed, (40 + 7 + 40 + 1 + 40) * 3);
}

TEST_F(LayerLoopTest, AllExpertsObservesEveryTokenAndLeavesOutputsAlone) {
  const LoopResult routed = Run({.batch_size = 2, .experts_per_group = 4});
  const LoopResult all = Run({.batch_size = 2, .experts_per_group = 4, .all_experts = true});
  EXPECT_TRUE(at::equal(routed.hidden, all.hidden));
  for (const run::InputAmax& input : all.inputs) {
    EXPECT_EQ(input.tokens, 5 * 40) << input.module;
  }
  for (const run::InputAmax& input : routed.inputs) {
    // Products of other row counts may differ in the last bits.
    EXPECT_GE(Input(all, input.module).amax, input.amax * 0.9999f) << input.module;
  }
}

}  // namespace
}  // namespace vernier::calib

// The loop's cuts (batches, expert groups, files) change memory, never results.
#include "calib/layer_loop.h"

#include <gtest/gtest.h>

#include <random>

#include "checkpoint/source_model.h"
#include "tests/support/temp_dir.h"

namespace vernier::calib {
namespace {

datasets::CalibrationSet RandomTokens(int64_t samples, int64_t length, int64_t vocab) {
  datasets::CalibrationSet tokens;
  tokens.samples = samples;
  tokens.sequence_length = length;
  std::mt19937 random(3);
  for (int64_t i = 0; i < samples * length; ++i) {
    tokens.ids.push_back(static_cast<int32_t>(random() % static_cast<uint64_t>(vocab)));
  }
  tokens.lengths.assign(static_cast<size_t>(samples), static_cast<int32_t>(length));
  return tokens;
}

class LayerLoopTest : public ::testing::Test {
 protected:
  struct Result {
    at::Tensor hidden;
    std::vector<InputAmax> inputs;
  };

  // The first three layers in F32: all kinds of attention and both kinds of routing.
  Result Run(LayerLoopOptions options) {
    const LayerLoop loop(*decoder_, tokens_, at::kCPU, at::kFloat, options);
    SampleBuffer in = loop.MakeHiddenBuffer("a");
    SampleBuffer out = loop.MakeHiddenBuffer("b");
    loop.Embed(in);
    InputObserver observer(modules_);
    Result result;
    for (int64_t layer = 0; layer < 3; ++layer) {
      double last = 0;
      loop.RunLayer(layer, in, out, observer, [&](double fraction) {
        EXPECT_GE(fraction, last);
        last = fraction;
      });
      EXPECT_DOUBLE_EQ(last, 1.0);
      for (InputAmax& input : observer.Snapshot(static_cast<int>(layer))) {
        result.inputs.push_back(std::move(input));
      }
      std::swap(in, out);
    }
    result.hidden = in.Get(0, tokens_.samples).clone();
    return result;
  }

  const InputAmax& Input(const Result& result, const std::string& module) {
    return *std::ranges::find(result.inputs, module, &InputAmax::module);
  }

  static void ExpectSame(const Result& a, const Result& b) {
    EXPECT_TRUE(at::equal(a.hidden, b.hidden));
    ASSERT_EQ(a.inputs.size(), b.inputs.size());
    for (size_t i = 0; i < a.inputs.size(); ++i) {
      EXPECT_EQ(a.inputs[i].module, b.inputs[i].module);
      EXPECT_EQ(a.inputs[i].amax, b.inputs[i].amax) << a.inputs[i].module;
      EXPECT_EQ(a.inputs[i].tokens, b.inputs[i].tokens) << a.inputs[i].module;
    }
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
  const Result result = Run({.batch_size = 5, .experts_per_group = 8});
  int64_t routed = 0;
  for (int expert = 0; expert < 8; ++expert) {
    routed += Input(result, "layers.1.ffn.experts." + std::to_string(expert) + ".w1").tokens;
  }
  EXPECT_EQ(routed, 5 * 40 * 3) << "tokens times experts per token";
}

TEST_F(LayerLoopTest, PaddingReachesNoExpert) {
  tokens_.lengths = {40, 7, 40, 1, 40};
  const Result result = Run({.batch_size = 5, .experts_per_group = 8});
  int64_t routed = 0;
  for (int expert = 0; expert < 8; ++expert) {
    routed += Input(result, "layers.2.ffn.experts." + std::to_string(expert) + ".w2").tokens;
  }
  EXPECT_EQ(routed, (40 + 7 + 40 + 1 + 40) * 3);
}

TEST_F(LayerLoopTest, AllExpertsObservesEveryTokenAndLeavesOutputsAlone) {
  const Result routed = Run({.batch_size = 2, .experts_per_group = 4});
  const Result all = Run({.batch_size = 2, .experts_per_group = 4, .all_experts = true});
  EXPECT_TRUE(at::equal(routed.hidden, all.hidden));
  for (const InputAmax& input : all.inputs) {
    EXPECT_EQ(input.tokens, 5 * 40) << input.module;
  }
  for (const InputAmax& input : routed.inputs) {
    // Products of other row counts may differ in the last bits.
    EXPECT_GE(Input(all, input.module).amax, input.amax * 0.9999f) << input.module;
  }
}

}  // namespace
}  // namespace vernier::calib

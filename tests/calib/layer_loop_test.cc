// The loop's cuts (batches, expert groups, files) change memory, never results.
#include "calib/layer_loop.h"

#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "calib/budget/loop_constants.h"
#include "calib/layertest/decoders.h"
#include "calib/non_finite_guard.h"
#include "calib/recorder.h"
#include "calib/statistics/block_share.h"
#include "checkpoint/source_model.h"
#include "recipes/plan.h"
#include "tests/calib/loop_support.h"
#include "tests/support/temp_dir.h"

namespace vernier::calib {
namespace {

class LayerLoopTest : public ::testing::TestWithParam<at::DeviceType> {
 protected:
  void SetUp() override {
    if (!HasDevice(GetParam())) GTEST_SKIP() << "no such device in this build or machine";
  }

  // The first three layers: all kinds of attention and both kinds of routing.
  LoopResult Run(const LayerLoopOptions& options) {
    return RunLayers({*decoder_, tokens_, modules_, device_}, 3, options);
  }

  const run::InputAmax& Input(const LoopResult& result, const std::string& module) {
    return *std::ranges::find(result.inputs, module, &run::InputAmax::module);
  }

  const at::Device device_{GetParam()};
  testing::TempDir dir_;
  const checkpoint::SourceModel source_ =
      checkpoint::OpenSourceModel(VERNIER_TEST_DATA "/models/tiny-deepseek-v4");
  const TensorLoader loader_{source_, device_, at::kFloat};
  const std::unique_ptr<Decoder> decoder_ = MakeDecoder(loader_);
  datasets::CalibrationSet tokens_ = RandomTokens(5, 40, decoder_->VocabSize());
  std::vector<std::string> modules_ = [this] {
    std::vector<std::string> modules;
    for (const auto& weight : source_.layout.weights) {
      if (weight.role == checkpoint::Role::kRoutedExpert) modules.push_back(weight.module);
    }
    for (int64_t layer = 0; layer < 3; ++layer) {
      modules.push_back(recipes::AttentionBlock(layer));
      modules.push_back(recipes::FfnBlock(layer));
    }
    return modules;
  }();
};

TEST_P(LayerLoopTest, GroupsOfExpertsDoNotMatter) {
  ExpectSame(Run({.batch_size = 2, .experts_per_group = 1}),
             Run({.batch_size = 2, .experts_per_group = 8}));
}

TEST_P(LayerLoopTest, FilesDoNotMatter) {
  ExpectSame(Run({.batch_size = 2, .experts_per_group = 3}),
             Run({.batch_size = 2, .experts_per_group = 3, .spill_directory = dir_.path()}));
}

TEST_P(LayerLoopTest, EveryRealTokenReachesItsChoiceOfExperts) {
  const LoopResult result = Run({.batch_size = 5, .experts_per_group = 8});
  int64_t routed = 0;
  for (int expert = 0; expert < 8; ++expert) {
    routed += Input(result, "layers.1.ffn.experts." + std::to_string(expert) + ".w1").tokens;
  }
  EXPECT_EQ(routed, 5 * 40 * 3) << "tokens times experts per token";
}

TEST_P(LayerLoopTest, PaddingReachesNoExpert) {
  tokens_.lengths = {40, 7, 40, 1, 40};
  const LoopResult result = Run({.batch_size = 5, .experts_per_group = 8});
  int64_t routed = 0;
  for (int expert = 0; expert < 8; ++expert) {
    routed += Input(result, "layers.2.ffn.experts." + std::to_string(expert) + ".w2").tokens;
  }
  EXPECT_EQ(routed, (40 + 7 + 40 + 1 + 40) * 3);
}

TEST_P(LayerLoopTest, BlocksAreSeenOverRealTokens) {
  tokens_.lengths = {40, 7, 40, 1, 40};
  const LoopResult result = Run({.batch_size = 2, .experts_per_group = 8});
  int blocks = 0;
  for (const run::StatisticRow& row : result.rows) {
    if (row.name != statistics::BlockShare::kName) continue;
    ++blocks;
    const statistics::Value value = statistics::FromBytes(row.bytes);
    EXPECT_EQ(value.tokens, 40 + 7 + 40 + 1 + 40) << row.module;
    const double share = statistics::BlockShare::Mean(statistics::ElementsOf<int64_t>(value));
    EXPECT_GT(share, 0.001) << row.module;
    EXPECT_LT(share, 2) << row.module;
  }
  EXPECT_EQ(blocks, 2 * 3);
}

TEST_P(LayerLoopTest, AllExpertsObservesEveryTokenAndLeavesOutputsAlone) {
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

// Weights that are read ahead and decoded on the device are those that the host decodes.
TEST_P(LayerLoopTest, AStreamOfWeightsDoesNotMatter) {
  const WeightStreamOptions small = {
      .ring_bytes = 1, .ahead_bytes = 4000, .piece_bytes = 4096, .readers = 2};
  const TensorLoader streaming(source_, device_, at::kFloat, {}, small);
  const TensorLoader host(source_, device_, at::kFloat, {.clamp = true});
  for (const bool all_experts : {false, true}) {
    const LayerLoopOptions options = {
        .batch_size = 2, .experts_per_group = 3, .all_experts = all_experts};
    ExpectSame(RunLayers({*MakeDecoder(host), tokens_, modules_, device_}, 3, options),
               RunLayers({*MakeDecoder(streaming), tokens_, modules_, device_}, 3, options));
  }
}

TEST_P(LayerLoopTest, WhereHiddenStatesLieDoesNotMatter) {
  const LoopResult on_host = Run({.batch_size = 2, .experts_per_group = 3});
  ExpectSame(on_host, Run({.batch_size = 2, .experts_per_group = 3, .hidden_on_device = true}));
}

// Marks the experts' inputs of the last sample.
constexpr float kMark = 1234.5;

class MarkedLayer final : public DecoderLayer {
 public:
  MarkedLayer(std::unique_ptr<DecoderLayer> inner, int64_t samples)
      : inner_(std::move(inner)), samples_(samples) {}

  at::Tensor Attend(const at::Tensor& hidden, const TokenBatch& batch, Tap& tap) override {
    return inner_->Attend(hidden, batch, tap);
  }
  StepwiseAttention AttendStepwise(int64_t positions) override {
    return inner_->AttendStepwise(positions);
  }
  FfnStage BeginFfn(const at::Tensor& hidden, const TokenBatch& batch, Tap& tap) override {
    FfnStage stage = inner_->BeginFfn(hidden, batch, tap);
    begun_ += hidden.size(0);
    if (begun_ == samples_) stage.x.slice(0, stage.x.size(0) - hidden.size(1)).fill_(kMark);
    return stage;
  }
  at::Tensor Finish(const at::Tensor& hidden, const at::Tensor& y, const at::Tensor& mix) override {
    return inner_->Finish(hidden, y, mix);
  }

 private:
  std::unique_ptr<DecoderLayer> inner_;
  int64_t samples_, begun_ = 0;
};

// Whose experts get infinities where an input is marked.
class SpoilingDecoder final : public ForwardingDecoder {
 public:
  SpoilingDecoder(const Decoder& inner, int64_t samples)
      : ForwardingDecoder(inner), samples_(samples) {}

  std::unique_ptr<DecoderLayer> LoadLayer(int64_t layer, int64_t query_chunk) const override {
    return std::make_unique<MarkedLayer>(inner_.LoadLayer(layer, query_chunk), samples_);
  }
  at::Tensor RunExpert(int64_t layer, int64_t expert, const ExpertWeights& weights,
                       const at::Tensor& x, Tap& tap) const override {
    const float infinity = std::numeric_limits<float>::infinity();
    return inner_.RunExpert(layer, expert, weights, x.masked_fill(x.eq(kMark), infinity), tap);
  }

 private:
  int64_t samples_;
};

// More rows than one product of an expert has.
TEST_P(LayerLoopTest, ABadInputIsNamedByItsSampleHoweverManyRowsThereAre) {
  constexpr int64_t kMany = 11;
  tokens_ = RandomTokens(kMany, 512, decoder_->VocabSize());
  ASSERT_GT(tokens_.samples * tokens_.sequence_length, kExpertRows);
  const SpoilingDecoder spoiling(*decoder_, kMany);
  for (const bool all_experts : {false, true}) {
    const LayerLoop loop(spoiling, tokens_, device_, at::kFloat,
                         {.batch_size = 4, .experts_per_group = 8, .all_experts = all_experts});
    auto hidden = std::make_shared<SampleBuffer>(loop.MakeHiddenBuffer({}));
    loop.Embed(*hidden);
    Recorder recorder(modules_);
    NonFiniteGuard guard(recorder, NonFinitePolicy::kClamp);
    LayerState state = loop.MakeState(0, hidden);
    loop.RunLayer(0, state, guard, [](LayerState&) {});
    const std::vector<run::NonFiniteRecord> records = guard.NonFinites(0);
    EXPECT_GT(records.size(), 8u);
    for (const run::NonFiniteRecord& record : records) {
      EXPECT_EQ(record.sample, kMany - 1) << record.module;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, LayerLoopTest, ::testing::ValuesIn(kTestDevices),
                         [](const auto& info) { return DeviceName(info.param); });

}  // namespace
}  // namespace vernier::calib

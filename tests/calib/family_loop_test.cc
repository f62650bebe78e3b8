// The layer loop with families of dense and of routed layers: cuts change memory, never results.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "checkpoint/families/decoder_config.h"
#include "tests/calib/loop_support.h"
#include "tests/calib/model_support.h"
#include "tests/support/temp_dir.h"

namespace vernier::calib {
namespace {

constexpr int64_t kSamples = 5, kLength = 24;

class FamilyLoop : public ::testing::TestWithParam<std::tuple<at::DeviceType, const char*>> {
 protected:
  void SetUp() override {
    if (!HasDevice(device_.type())) GTEST_SKIP() << "no such device in this build or machine";
  }

  // Every layer, observing all linear layers and the caches of keys and values.
  LoopResult Run(const LayerLoopOptions& options) {
    return RunLayers({*model_.decoder, tokens_, modules_, device_}, model_.decoder->Layers(),
                     options);
  }

  std::vector<std::string> Observable() const {
    std::vector<std::string> modules;
    for (const checkpoint::LogicalWeight& weight : model_.source.layout.weights) {
      if (weight.linear && weight.layer >= 0) modules.push_back(weight.module);
    }
    for (int64_t layer = 0; layer < model_.decoder->Layers(); ++layer) {
      for (const char* cache : {"k_cache", "v_cache", "kv_cache"}) {
        modules.push_back(Names().Attention(layer) + "." + cache);
      }
    }
    return modules;
  }

  const checkpoint::DecoderNames& Names() const { return model_.source.family->Decoder()->names; }

  // Layers whose attention keeps something of every token.
  int64_t CachingLayers() const {
    return std::ranges::count_if(
        model_.source.family->Decoder()->blocks, [](const checkpoint::DecoderBlock& block) {
          return block.attention.kind != checkpoint::AttentionKind::kDeltaNet;
        });
  }

  const at::Device device_{std::get<0>(GetParam())};
  testing::TempDir dir_;
  const LoadedModel model_{kTestModels / std::get<1>(GetParam()), at::kFloat, device_};
  datasets::CalibrationSet tokens_ = RandomTokens(kSamples, kLength, model_.decoder->VocabSize());
  const std::vector<std::string> modules_ = Observable();
};

TEST_P(FamilyLoop, RunsTheModel) {
  const at::Tensor ids =
      at::tensor(std::vector<int64_t>(tokens_.ids.begin(), tokens_.ids.end()), at::kLong)
          .view({kSamples, kLength})
          .to(device_);
  const LoopResult result = Run({.batch_size = 2, .query_chunk = 7, .experts_per_group = 2});
  EXPECT_LT(RelativeError(result.hidden, RunModel(*model_.decoder, {ids, {}}).hidden.back().cpu()),
            1e-5);
}

TEST_P(FamilyLoop, GroupsAndFilesDoNotMatter) {
  const LoopResult plain = Run({.batch_size = 2, .experts_per_group = 100});
  ExpectSame(plain, Run({.batch_size = 2, .experts_per_group = 1}));
  ExpectSame(plain, Run({.batch_size = 2, .experts_per_group = 3, .spill_directory = dir_.path()}));
}

// Of experts' rows a batch's size decides how many are multiplied at once.
TEST_P(FamilyLoop, BatchesDoNotMatterWithoutExperts) {
  if (model_.decoder->ExpertsPerToken() > 0) GTEST_SKIP() << "has experts";
  tokens_.lengths = {24, 7, 24, 1, 13};
  const LoopResult together = Run({.batch_size = 5});
  if (!device_.is_cpu()) return ExpectSame(together, Run({.batch_size = 8}));
  for (const int64_t batch : {1, 2, 3}) ExpectSame(together, Run({.batch_size = batch}));
}

TEST_P(FamilyLoop, ObservesEveryLinearLayerOverRealTokensAlone) {
  tokens_.lengths = {24, 7, 24, 1, 13};
  constexpr int64_t kRealTokens = 24 + 7 + 24 + 1 + 13;
  const LoopResult result = Run({.batch_size = 5, .experts_per_group = 2});
  int64_t whole = 0, caches = 0;
  for (const run::InputAmax& input : result.inputs) {
    EXPECT_GT(input.amax, 0) << input.module;
    if (input.module.find(".experts.") != std::string::npos) {
      EXPECT_LE(input.tokens, kRealTokens) << input.module;
      continue;
    }
    ++whole;
    caches += input.module.ends_with("_cache");
    EXPECT_EQ(input.tokens, kRealTokens) << input.module;
  }
  EXPECT_GT(whole, caches);
  EXPECT_GE(caches, CachingLayers()) << "each layer keeps keys and values, or latents";
}

TEST_P(FamilyLoop, PaddingChangesNothingForRealTokens) {
  const at::Tensor whole = Run({.batch_size = 5}).hidden;
  tokens_.lengths.assign(kSamples, 11);
  const at::Tensor cut = Run({.batch_size = 5}).hidden;
  EXPECT_LT(RelativeError(cut.slice(1, 0, 11), whole.slice(1, 0, 11)), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(
    Models, FamilyLoop,
    ::testing::Combine(::testing::ValuesIn(kTestDevices),
                       ::testing::Values("tiny-llama", "mixtral_window", "tiny-qwen3-moe",
                                         "tiny-deepseek-v3", "qwen3_5_text", "qwen3_5_moe_vision",
                                         "qwen3_next", "gpt_oss", "minimax_m2", "kimi_k2",
                                         "deepseek_v32", "gemma3_text", "glm4", "phi3", "granite")),
    [](const auto& info) {
      std::string name = DeviceName(std::get<0>(info.param)) + "_" + std::get<1>(info.param);
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

}  // namespace
}  // namespace vernier::calib

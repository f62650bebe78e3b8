// Greedy continuations against the logits of traces, of several prompts at once, and with a cache
// against without.
#include "calib/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/calib/deepseek_v4_support.h"
#include "tests/support/expect_error.h"
#include "tests/support/small_llama.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::calib {
namespace {

// With a cache, and without.
class GenerateTest : public ::testing::TestWithParam<bool> {
 protected:
  std::vector<Continuation> Continue(std::vector<std::vector<int32_t>> prompts, int64_t tokens,
                                     std::optional<int32_t> eos = {}) {
    seen_.clear();
    return Generate(
        {.source = model_.source,
         .compute = compute_,
         .budget = {.batch_size = 2, .query_chunk = 64, .experts_per_group = 8},
         .resident = GetParam() ? std::optional<ResidentBudget>({.query_chunk = 64}) : std::nullopt,
         .prompts = std::move(prompts),
         .tokens = tokens,
         .eos = eos,
         .scratch_directory = dir_.path()},
        [&](size_t prompt, int32_t id) { seen_.emplace_back(prompt, id); }, progress_);
  }

  // The most probable token behind `ids`, by a whole forward pass.
  int32_t Next(const std::vector<int32_t>& ids) {
    const at::Tensor row = at::tensor(std::vector<int64_t>(ids.begin(), ids.end()), at::kLong);
    const at::Tensor logits = RunModel(*model_.decoder, {row.unsqueeze(0), {}}).logits;
    return logits[0][-1].argmax().item<int32_t>();
  }

  testing::TempDir dir_;
  TestModel model_{kTinyModel, at::kFloat};
  ComputeSpec compute_ = {.dtype = recipes::ComputeDtype::kFloat32};
  Progress progress_ = Progress::Silent();
  std::vector<std::pair<size_t, int32_t>> seen_;
};

TEST_P(GenerateTest, EachTokenIsTheMostProbableOne) {
  std::vector<int32_t> ids = {5, 900, 33, 4, 4, 71};
  const Continuation found = Continue({ids}, 4).at(0);
  EXPECT_FALSE(found.ended);
  ASSERT_EQ(found.ids.size(), 4u);
  for (const int32_t id : found.ids) {
    EXPECT_EQ(id, Next(ids));
    ids.push_back(id);
  }
}

TEST_P(GenerateTest, PromptsOfOtherLengthsBesideItChangeNothing) {
  const std::vector<int32_t> one = {7}, other = {5, 900, 33, 4, 4, 71}, third = {1, 2, 3};
  const std::vector<Continuation> together = Continue({one, other, third}, 3);
  EXPECT_EQ(seen_.size(), 9u);
  EXPECT_EQ(seen_[1].first, 1u) << "a token of each, in turn";
  EXPECT_EQ(together[0].ids, Continue({one}, 3)[0].ids);
  EXPECT_EQ(together[1].ids, Continue({other}, 3)[0].ids);
  EXPECT_EQ(together[2].ids, Continue({third}, 3)[0].ids);
}

TEST_P(GenerateTest, EosEndsOneContinuationAndNotTheOthers) {
  const std::vector<std::vector<int32_t>> prompts = {{7, 8}, {5, 900, 33}};
  const std::vector<Continuation> free = Continue(prompts, 3);
  const int32_t eos = free[0].ids[1];
  ASSERT_EQ(std::ranges::count(free[1].ids, eos), 0) << "choose other prompts";
  const std::vector<Continuation> ended = Continue(prompts, 3, eos);
  EXPECT_TRUE(ended[0].ended);
  EXPECT_THAT(ended[0].ids, ::testing::ElementsAre(free[0].ids[0]));
  EXPECT_FALSE(ended[1].ended);
  EXPECT_EQ(ended[1].ids, free[1].ids);
}

INSTANTIATE_TEST_SUITE_P(Ways, GenerateTest, ::testing::Bool(), [](const auto& info) {
  return info.param ? "WithACache" : "LayerByLayer";
});

// The continuations of three prompts of different lengths.
std::vector<std::vector<int32_t>> ContinueThree(const std::filesystem::path& checkpoint,
                                                int64_t tokens, bool quantize,
                                                const std::optional<ResidentBudget>& resident) {
  std::vector<std::vector<int32_t>> prompts = {{1}, {}, {}};
  for (int32_t i = 0; i < 40; ++i) prompts[1].push_back(i * 37 % 64);
  for (int32_t i = 0; i < 9; ++i) prompts[2].push_back(i * 11 % 64);
  const testing::TempDir dir;
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(checkpoint);
  Progress progress = Progress::Silent();
  const std::vector<Continuation> found = Generate(
      {.source = source,
       .compute = {.dtype = recipes::ComputeDtype::kFloat32},
       .budget = {.batch_size = 2, .query_chunk = 64, .experts_per_group = 8},
       .resident = resident,
       .prompts = prompts,
       .tokens = tokens,
       .quantize_activations = quantize,
       .scratch_directory = dir.path()},
      [](size_t, int32_t) {}, progress);
  std::vector<std::vector<int32_t>> ids;
  for (const Continuation& continuation : found) ids.push_back(continuation.ids);
  return ids;
}

void ExpectSameWithACache(const std::filesystem::path& checkpoint, int64_t tokens, bool quantize) {
  EXPECT_EQ(ContinueThree(checkpoint, tokens, quantize, ResidentBudget{.query_chunk = 64}),
            ContinueThree(checkpoint, tokens, quantize, std::nullopt));
}

class EveryFamily : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryFamily, GoesOnWithACacheAsWithout) {
  ExpectSameWithACache(kTestModels / GetParam(), /*tokens=*/12, /*quantize=*/false);
}

INSTANTIATE_TEST_SUITE_P(Models, EveryFamily, ::testing::ValuesIn(TestModelNames()),
                         [](const auto& info) { return NameInTest(info.param); });

class QuantizedActivations : public ::testing::TestWithParam<const char*> {};

// Inputs of linear layers, and keys and values, as engines quantise them. Few tokens, because in
// time a value between two codes rounds to the other one, which all tokens behind it see.
TEST_P(QuantizedActivations, GoOnWithACacheAsWithout) {
  const auto checkpoint = std::filesystem::path(VERNIER_TEST_DATA) / "conformance" / GetParam();
  ExpectSameWithACache(checkpoint, /*tokens=*/4, /*quantize=*/true);
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, QuantizedActivations,
                         ::testing::Values("llmcompressor_llama_nvfp4_kv_fp8",
                                           "llmcompressor_qwen3_moe_nvfp4_kv_fp8"),
                         [](const auto& info) { return std::string(info.param); });

// A pass layer by layer says where.
TEST(GenerateErrors, AnActivationThatOverflowsIsNamedWithACacheToo) {
  std::vector<testing::TestTensor> tensors = testing::SmallLlamaTensors();
  const std::string norm = "model.layers.0.post_attention_layernorm.weight";
  std::erase_if(tensors, [&](const auto& tensor) { return tensor.spec.name == norm; });
  tensors.push_back(testing::FilledBf16(norm, {testing::kSmallHidden}, 3e38f));
  const testing::TempDir dir;
  testing::WriteCheckpoint(dir.path() / "model", testing::SmallLlamaConfig(), tensors, 1);
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(dir.path() / "model");
  Progress progress = Progress::Silent();
  EXPECT_VERNIER_ERROR(Generate(
                           {.source = source,
                            .compute = {},
                            .budget = {},
                            .resident = ResidentBudget(),
                            .prompts = {{1, 2, 3}},
                            .scratch_directory = dir.path()},
                           [](size_t, int32_t) {}, progress),
                       ErrorCode::kBadActivation, "model.layers.0.mlp.");
}

}  // namespace
}  // namespace vernier::calib

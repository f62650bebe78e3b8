// Greedy continuations against the logits of traces, and of several prompts at once.
#include "calib/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/calib/deepseek_v4_support.h"
#include "tests/support/temp_dir.h"

namespace vernier::calib {
namespace {

class GenerateTest : public ::testing::Test {
 protected:
  std::vector<Continuation> Continue(std::vector<std::vector<int32_t>> prompts, int64_t tokens,
                                     std::optional<int32_t> eos = {}) {
    seen_.clear();
    return Generate(
        {.source = model_.source,
         .compute = compute_,
         .budget = {.batch_size = 2, .query_chunk = 64, .experts_per_group = 8},
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

TEST_F(GenerateTest, EachTokenIsTheMostProbableOne) {
  std::vector<int32_t> ids = {5, 900, 33, 4, 4, 71};
  const Continuation found = Continue({ids}, 4).at(0);
  EXPECT_FALSE(found.ended);
  ASSERT_EQ(found.ids.size(), 4u);
  for (const int32_t id : found.ids) {
    EXPECT_EQ(id, Next(ids));
    ids.push_back(id);
  }
}

TEST_F(GenerateTest, PromptsOfOtherLengthsBesideItChangeNothing) {
  const std::vector<int32_t> one = {7}, other = {5, 900, 33, 4, 4, 71}, third = {1, 2, 3};
  const std::vector<Continuation> together = Continue({one, other, third}, 3);
  EXPECT_EQ(seen_.size(), 9u);
  EXPECT_EQ(seen_[1].first, 1u) << "a token of each, in turn";
  EXPECT_EQ(together[0].ids, Continue({one}, 3)[0].ids);
  EXPECT_EQ(together[1].ids, Continue({other}, 3)[0].ids);
  EXPECT_EQ(together[2].ids, Continue({third}, 3)[0].ids);
}

TEST_F(GenerateTest, EosEndsOneContinuationAndNotTheOthers) {
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

}  // namespace
}  // namespace vernier::calib

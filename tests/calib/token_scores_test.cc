// Scores of logits against closed forms.
#include "calib/eval/token_scores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace vernier::calib {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

at::Tensor Row(std::vector<float> values) { return at::tensor(values, at::kFloat).unsqueeze(0); }

at::Tensor Targets(std::vector<int64_t> values) { return at::tensor(values, at::kLong); }

TEST(TokenScores, TwoTokensByHand) {
  // p = (3/4, 1/4), q = (1/2, 1/2), whatever constant is added to logits.
  const at::Tensor p = Row({std::log(3.0f) + 7, 7}), q = Row({-2, -2});
  const TokenScores scores = ScoreLogits(q, p, Targets({1}));
  EXPECT_NEAR(scores.nll.at(0), std::log(2.0), 1e-6);
  EXPECT_NEAR(scores.kl.at(0), 0.75 * std::log(1.5) + 0.25 * std::log(0.5), 1e-6);
  EXPECT_EQ(scores.same_top.at(0), 1) << "of two equal logits the lower id counts";
  // It is the reference's probabilities that weigh.
  const TokenScores other = ScoreLogits(p, q, Targets({1}));
  EXPECT_NEAR(other.kl.at(0), 0.5 * std::log(0.5 / 0.75) + 0.5 * std::log(2.0), 1e-6);
  EXPECT_NEAR(other.nll.at(0), std::log(4.0), 1e-6);
}

TEST(TokenScores, EqualLogitsAreExactlyEqual) {
  const at::Tensor logits = at::randn({50, 1000}) * 20;
  const TokenScores scores = ScoreLogits(logits, logits.clone(), at::arange(50));
  EXPECT_THAT(scores.kl, Each(0.0f));
  EXPECT_THAT(scores.same_top, Each(1));
}

TEST(TokenScores, AnotherTopIsAnotherTop) {
  EXPECT_THAT(ScoreLogits(Row({1, 5, 2}), Row({1, 2, 5}), Targets({0})).same_top, ElementsAre(0));
  EXPECT_THAT(ScoreLogits(Row({5, 5, 2}), Row({1, 5, 5}), Targets({0})).same_top, ElementsAre(0));
}

// Differences that F32 would lose in rounding.
TEST(TokenScores, SmallDivergencesSurvive) {
  const double step = std::ldexp(1.0, -12);
  const at::Tensor p = Row({16, 16}), q = Row({16 + static_cast<float>(step), 16});
  const double expected =
      -0.5 * (std::log(2 / (1 + std::exp(-step))) + std::log(2 / (1 + std::exp(step))));
  EXPECT_NEAR(ScoreLogits(q, p, Targets({0})).kl.at(0), expected, 1e-4 * expected);
}

// However many rows fit one pass.
TEST(TokenScores, BlocksOfRowsChangeNothing) {
  constexpr int64_t kRows = 5, kVocab = 400'000;
  const at::Tensor p = at::randn({kRows, kVocab}), q = p + 0.1 * at::randn({kRows, kVocab});
  const TokenScores together = ScoreLogits(q, p, at::arange(kRows));
  for (int64_t row = 0; row < kRows; ++row) {
    const auto at = static_cast<size_t>(row);
    const TokenScores alone = ScoreLogits(q.narrow(0, row, 1), p.narrow(0, row, 1), Targets({row}));
    EXPECT_NEAR(together.kl[at], alone.kl[0], 1e-9);
    EXPECT_FLOAT_EQ(together.nll[at], alone.nll[0]);
    EXPECT_GT(together.kl[at], 0.004) << "half the variance of the noise";
    EXPECT_LT(together.kl[at], 0.006);
  }
}

TEST(TokenScores, WithoutAReferenceThereIsNoDivergence) {
  const TokenScores scores = ScoreLogits(Row({0, 0}), {}, Targets({0}));
  EXPECT_EQ(scores.nll.size(), 1u);
  EXPECT_TRUE(scores.kl.empty());
  EXPECT_TRUE(scores.same_top.empty());
}

}  // namespace
}  // namespace vernier::calib

// Statistics of scores against numbers found by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "calib/eval/statistics.h"

namespace vernier::calib {
namespace {

TEST(EvalStatistics, MeanAndStandardError) {
  const Estimate mean = MeanOf(std::vector<float>{1, 2, 3, 4});
  EXPECT_DOUBLE_EQ(mean.value, 2.5);
  EXPECT_DOUBLE_EQ(mean.standard_error, std::sqrt(5.0 / 3 / 4));
  EXPECT_EQ(MeanOf(std::vector<float>(100, 0.1f)).standard_error, 0);
  EXPECT_TRUE(std::isinf(MeanOf(std::vector<float>{1}).standard_error));
}

// Sums of many values in F32 would stop growing at 2^24.
TEST(EvalStatistics, SumsAreNotF32) {
  const std::vector<float> ones((1u << 24) + 1000, 1.0f);
  EXPECT_EQ(MeanOf(ones).value, 1.0);
}

TEST(EvalStatistics, QuantilesLieBetweenTheNearestRanks) {
  const std::vector<float> sorted = {0, 1, 2, 3, 10};
  EXPECT_EQ(Quantile(sorted, 0), 0);
  EXPECT_EQ(Quantile(sorted, 0.5), 2);
  EXPECT_EQ(Quantile(sorted, 1), 10);
  EXPECT_DOUBLE_EQ(Quantile(sorted, 0.9), 3 + 0.6 * 7);
  EXPECT_EQ(Quantile(std::vector<float>{7}, 0.99), 7);
}

TEST(EvalStatistics, PerplexityOfAUniformModelIsItsVocabulary) {
  const float nll = std::log(50.0f);
  const Likelihood likelihood = LikelihoodOf(std::vector<float>(10, nll));
  EXPECT_EQ(likelihood.tokens, 10);
  EXPECT_NEAR(likelihood.perplexity.value, 50, 1e-5);
  EXPECT_NEAR(likelihood.perplexity.standard_error, 0, 1e-12);
}

TEST(EvalStatistics, AModelEqualsItself) {
  const TokenScores model = {.nll = {1, 2, 3}, .kl = {0, 0, 0}, .same_top = {1, 1, 1}};
  const Divergence none = DivergenceOf(model, {.nll = {1, 2, 3}, .kl = {}, .same_top = {}});
  EXPECT_EQ(none.mean_kl.value, 0);
  EXPECT_EQ(none.max_kl, 0);
  EXPECT_EQ(none.same_top.value, 1);
  EXPECT_EQ(none.perplexity_ratio.value, 1);
  EXPECT_EQ(none.perplexity_ratio.standard_error, 0);
  EXPECT_EQ(none.delta_p.value, 0);
  EXPECT_EQ(none.rms_delta_p, 0);
}

TEST(EvalStatistics, DivergenceFromAReference) {
  const auto nll = [](double probability) { return static_cast<float>(-std::log(probability)); };
  const TokenScores reference = {.nll = {nll(0.5), nll(0.25)}, .kl = {}, .same_top = {}};
  const TokenScores model = {.nll = {nll(0.25), nll(0.5)}, .kl = {0.3f, 0.1f}, .same_top = {0, 1}};
  const Divergence found = DivergenceOf(model, reference);
  EXPECT_NEAR(found.mean_kl.value, 0.2, 1e-8);
  EXPECT_NEAR(found.mean_kl.standard_error, 0.1, 1e-8);
  EXPECT_NEAR(found.median_kl, 0.2, 1e-8);
  EXPECT_FLOAT_EQ(static_cast<float>(found.max_kl), 0.3f) << "not the last, the largest";
  EXPECT_EQ(found.same_top.value, 0.5);
  EXPECT_NEAR(found.perplexity_ratio.value, 1, 1e-7);
  EXPECT_NEAR(found.perplexity_ratio.standard_error, std::log(2.0), 1e-7);
  EXPECT_NEAR(found.delta_p.value, 0, 1e-7);
  EXPECT_NEAR(found.rms_delta_p, 0.25, 1e-7);
}

TEST(EvalStatistics, ASliceIsThoseTokens) {
  const TokenScores all = {.nll = {1, 2, 3, 4}, .kl = {5, 6, 7, 8}, .same_top = {0, 1, 0, 1}};
  const TokenScores part = all.Slice(1, 2);
  EXPECT_EQ(part.nll, (std::vector<float>{2, 3}));
  EXPECT_EQ(part.kl, (std::vector<float>{6, 7}));
  EXPECT_EQ(part.same_top, (std::vector<uint8_t>{1, 0}));
  EXPECT_TRUE(TokenScores({.nll = {1, 2}, .kl = {}, .same_top = {}}).Slice(0, 1).kl.empty());
}

}  // namespace
}  // namespace vernier::calib

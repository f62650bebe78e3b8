// Which tokens a query of DeepSeek-V3.2's attention sees.
#include "calib/families/lightning_indexer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "calib/families/layer_norm.h"
#include "calib/families/scaled_attention.h"
#include "tests/calib/model_support.h"
#include "tests/support/expect_error.h"

namespace vernier::calib {
namespace {

constexpr int64_t kTopK = 11;  // of deepseek_v32

at::Tensor SomeNoise(at::IntArrayRef shape) {
  at::manual_seed(6);
  return at::randn(shape);
}

class LightningIndexerTest : public ::testing::Test {
 protected:
  // Of queries that are the last of `keys` [2, K, 20].
  at::Tensor Choose(const at::Tensor& keys, int64_t queries, int64_t begin, int64_t end) const {
    const int64_t before = keys.size(1) - queries;
    const LightningIndexer::Sequence sequence = {SomeNoise({2, queries, 20}),
                                                 SomeNoise({2, queries, 64})};
    const RopeTable rope =
        MakeRopeTable(RopeFrequencies(config_.rope, 8), before + begin, before + end, at::kCPU);
    return indexer_.Choose(sequence, begin, end, rope, keys.slice(1, 0, before + end));
  }

  const LoadedModel model_{kTestModels / "deepseek_v32", at::kFloat};
  const checkpoint::DecoderConfig& config_ = *model_.source.family->Decoder();
  const LightningIndexer indexer_{model_.loader, config_, "model.layers.0.self_attn",
                                  config_.block(0).attention.latent};
};

TEST_F(LightningIndexerTest, TakesTheLowerOfEqualKeys) {
  const at::Tensor keys = SomeNoise({2, 1, 20}).expand({-1, 30, -1});
  const at::Tensor chosen = Choose(keys, 9, 0, 9);
  const at::Tensor first = (at::arange(30) < kTopK).expand({2, 9, -1});
  EXPECT_TRUE(at::equal(chosen, first));
}

TEST_F(LightningIndexerTest, ChoosesOfWhatAQuerySees) {
  const at::Tensor keys = SomeNoise({2, 200, 20});
  const at::Tensor chosen = Choose(keys, 200, 0, 200);
  EXPECT_TRUE(at::equal(chosen, chosen.tril()));
  const at::Tensor expected = (at::arange(200) + 1).clamp_max(kTopK).expand({2, -1});
  EXPECT_TRUE(at::equal(chosen.sum(-1), expected));
}

TEST_F(LightningIndexerTest, PiecesAreTheWhole) {
  const at::Tensor keys = SomeNoise({2, 150, 20});
  const at::Tensor whole = Choose(keys, 140, 0, 140);
  for (int64_t begin = 0; begin < 140; begin += 35) {
    const at::Tensor piece = Choose(keys, 140, begin, begin + 35);
    EXPECT_TRUE(at::equal(piece, whole.slice(1, begin, begin + 35).slice(2, 0, 45 + begin)));
    EXPECT_FALSE(whole.slice(1, begin, begin + 35).slice(2, 45 + begin).any().item<bool>());
  }
}

TEST_F(LightningIndexerTest, SeesAllOfAsManyAsItChooses) {
  EXPECT_FALSE(Choose(SomeNoise({2, kTopK, 20}), kTopK, 0, kTopK).defined());
  EXPECT_TRUE(Choose(SomeNoise({2, kTopK + 1, 20}), kTopK, 0, kTopK).defined());
}

TEST(SharedIndexer, RefusesMoreTokensThanItChooses) {
  const LoadedModel model(kTestModels / "glm_moe_dsa_shared", at::kFloat);
  EXPECT_NO_THROW(RunModel(*model.decoder, {at::zeros({1, 256}, at::kLong), {}}));
  EXPECT_VERNIER_ERROR(RunModel(*model.decoder, {at::zeros({1, 257}, at::kLong), {}}),
                       ErrorCode::kBadConfig, "index_topk");
}

TEST(ScaledAttentionOfChosen, SeesThemAlone) {
  const at::Tensor q = SomeNoise({2, 70, 6, 8}), k = SomeNoise({2, 70, 3, 8});
  const at::Tensor v = SomeNoise({2, 70, 3, 4});
  KeyValues past(70);
  past.Append(k, v);
  const at::Tensor all = at::ones({2, 70, 70}, at::kBool);
  EXPECT_TRUE(at::equal(past.Attend(q, 0, 0, 0.3, {.chosen = all}), past.Attend(q, 0, 0, 0.3)));
  const at::Tensor last_four = all.tril().logical_and(all.tril(-4).logical_not());
  const at::Tensor windowed = past.Attend(q, 0, 4, 0.3);
  EXPECT_LT(RelativeError(past.Attend(q, 0, 0, 0.3, {.chosen = last_four}), windowed), 1e-6);
  const at::Tensor one =
      past.Attend(q.slice(1, 69), 69, 0, 0.3, {.chosen = last_four.slice(1, 69)});
  EXPECT_LT(RelativeError(one, windowed.slice(1, 69)), 1e-6);
}

TEST(LayerNorm, HasMeanAndVarianceOfItsWeights) {
  const at::Tensor x = SomeNoise({3, 5, 40}) * 7 + 2;
  const at::Tensor plain = LayerNorm(x, at::ones({40}), at::zeros({40}), 1e-6);
  EXPECT_LT(plain.mean(-1).abs().max().item<double>(), 1e-6);
  EXPECT_TRUE(at::allclose(plain.var(-1, /*unbiased=*/false), at::ones({3, 5}), 1e-4));
  const at::Tensor scaled = LayerNorm(x, at::full({40}, 3.0), at::full({40}, -1.0), 1e-6);
  EXPECT_TRUE(at::allclose(scaled, plain * 3 - 1, 1e-5, 1e-5));
}

}  // namespace
}  // namespace vernier::calib

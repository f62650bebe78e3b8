// The parts of the forward pass, each against a plain computation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "calib/families/deepseek_v4/attention.h"
#include "calib/families/deepseek_v4/expert.h"
#include "calib/families/deepseek_v4/hyper_connection.h"
#include "calib/families/deepseek_v4/indexer.h"
#include "calib/families/deepseek_v4/rope.h"
#include "calib/families/deepseek_v4/router.h"
#include "calib/families/rms_norm.h"
#include "calib/recorder.h"
#include "tests/calib/deepseek_v4_support.h"
#include "tests/calib/loop_support.h"

namespace vernier::calib::deepseek_v4 {
namespace {

constexpr int64_t kSparseLayer = 2;  // the first layer of the tiny model with an indexer

// Values in [-1, 1] that differ from one another, without a random generator's state.
at::Tensor Waves(std::vector<int64_t> shape) {
  const at::Tensor flat = at::arange(c10::multiply_integers(shape), at::kFloat);
  return (flat * 1.7).sin().view(shape);
}

class DeepseekV4Parts : public ::testing::Test {
 protected:
  TestModel model_{kTinyModel, at::kFloat};
};

TEST_F(DeepseekV4Parts, IndexerTiesGoToTheLowerEntries) {
  const at::Tensor frequencies = RopeFrequencies(model_.config, 4);
  const Indexer indexer(model_.loader, "layers.2.attn.indexer", frequencies, model_.config);
  const int64_t entries = 3 * model_.config.index_topk;
  const RopeTable rope = MakeRopeTable(frequencies, 0, 1, at::kCPU);
  const at::Tensor causal = at::ones({1, 1, entries}, at::kBool);
  const at::Tensor chosen = indexer.Select(
      Waves({1, 1, model_.config.hidden_size}), Waves({1, 1, model_.config.q_lora_rank}), rope,
      at::zeros({1, entries, model_.config.index_head_dim}), causal);
  EXPECT_TRUE(chosen.slice(-1, 0, model_.config.index_topk).all().item<bool>());
  EXPECT_FALSE(chosen.slice(-1, model_.config.index_topk).any().item<bool>());
}

TEST_F(DeepseekV4Parts, IndexerChoosesOnlyAmongEarlierEntries) {
  const at::Tensor frequencies = RopeFrequencies(model_.config, 4);
  const Indexer indexer(model_.loader, "layers.2.attn.indexer", frequencies, model_.config);
  const int64_t length = 80, entries = length / 4;
  const at::Tensor x = Waves({1, length, model_.config.hidden_size});
  const RopeTable rope = MakeRopeTable(frequencies, 0, length, at::kCPU);
  Compressor::Past keys;
  indexer.compressor().Append(x, keys);
  const at::Tensor complete = at::floor_divide(at::arange(1, length + 1), 4).unsqueeze(-1);
  const at::Tensor causal = at::arange(entries).lt(complete).unsqueeze(0);
  const at::Tensor chosen =
      indexer.Select(x, Waves({1, length, model_.config.q_lora_rank}), rope, keys.entries, causal);
  EXPECT_FALSE(chosen.logical_and(causal.logical_not()).any().item<bool>());
  const at::Tensor count = complete.clamp_max(model_.config.index_topk).view({1, length});
  EXPECT_TRUE(at::equal(chosen.sum(-1), count));
}

TEST_F(DeepseekV4Parts, HashLayersRouteByTokenAlone) {
  ASSERT_TRUE(model_.config.block(0).hashes());
  const Router router(model_.loader, 0, model_.config);
  const at::Tensor ids = at::tensor({5, 900, 5}, at::kLong);
  const Routing routing = router.Route(Waves({3, model_.config.hidden_size}), ids);
  const at::Tensor table = model_.loader.LoadExact("layers.0.ffn.gate.tid2eid");
  EXPECT_TRUE(at::equal(routing.experts, table.index_select(0, ids)));
  EXPECT_TRUE(at::allclose(routing.weights.sum(-1),
                           at::full({3}, model_.config.routed_scaling_factor, at::kFloat)));
}

TEST_F(DeepseekV4Parts, ScoreLayersTakeTheBestAndWeighThemWithoutTheBias) {
  const std::string gate = "layers." + std::to_string(kSparseLayer) + ".ffn.gate.";
  const at::Tensor x = Waves({40, model_.config.hidden_size});
  const Routing routing =
      Router(model_.loader, kSparseLayer, model_.config).Route(x, at::zeros({40}, at::kLong));

  const at::Tensor logits =
      at::mm(x.to(at::kDouble), model_.loader.Load(gate + "weight").to(at::kDouble).t());
  const at::Tensor scores = logits.exp().log1p().sqrt();
  const at::Tensor biased = scores + model_.loader.LoadExact(gate + "bias").to(at::kDouble);
  const int64_t k = model_.config.num_experts_per_tok;
  EXPECT_TRUE(at::equal(routing.experts, std::get<1>(biased.topk(k))));
  const at::Tensor chosen = scores.gather(1, routing.experts);
  const at::Tensor weights = chosen / chosen.sum(-1, true) * model_.config.routed_scaling_factor;
  EXPECT_TRUE(at::allclose(routing.weights.to(at::kDouble), weights, 1e-5));
}

TEST_F(DeepseekV4Parts, RouterWithoutNormalisationScalesTheScores) {
  checkpoint::DeepseekV4Config config = model_.config;
  const at::Tensor x = Waves({4, config.hidden_size}), ids = at::zeros({4}, at::kLong);
  const at::Tensor normalized = Router(model_.loader, 0, config).Route(x, ids).weights;
  config.norm_topk_prob = false;
  const at::Tensor plain = Router(model_.loader, 0, config).Route(x, ids).weights;
  EXPECT_FALSE(at::allclose(plain, normalized));
  EXPECT_TRUE(at::allclose(plain / plain.sum(-1, true) * config.routed_scaling_factor, normalized));
}

TEST(DeepseekV4Attention, SinkTakesPartInTheDenominatorOnly) {
  const int64_t heads = 2, d = 4, keys = 3;
  const at::Tensor q = Waves({1, 1, heads, d}), k = Waves({1, keys, d});
  const at::Tensor visible = at::tensor({1, 0, 1}, at::kLong).to(at::kBool).view({1, 1, keys});
  const at::Tensor sink = at::tensor({0.3F, -2.0F});
  const at::Tensor out = AttendWithSink(q, k, visible, sink);
  for (int64_t h = 0; h < heads; ++h) {
    const at::Tensor score = at::mv(k[0], q[0][0][h]) / std::sqrt(static_cast<double>(d));
    const at::Tensor weight = score.exp() * visible[0][0];
    const at::Tensor expected = at::mv(k[0].t(), weight) / (weight.sum() + sink[h].exp());
    EXPECT_TRUE(at::allclose(out[0][0][h], expected, 1e-5, 1e-6)) << h;
  }
}

TEST(DeepseekV4Attention, HugeScoresStayFinite) {
  const at::Tensor q = at::full({1, 2, 1, 4}, 1e4, at::kFloat);
  const at::Tensor out =
      AttendWithSink(q, q.view({1, 2, 4}), at::ones({1, 2, 2}, at::kBool), at::zeros({1}));
  EXPECT_TRUE(at::allclose(out, q));
}

TEST_F(DeepseekV4Parts, RopeTurnsPairsOfTheLastChannelsAndBack) {
  const at::Tensor frequencies = RopeFrequencies(model_.config, 0);
  const RopeTable rope = MakeRopeTable(frequencies, 0, 9, at::kCPU);
  const at::Tensor x = Waves({2, 9, model_.config.head_dim});
  const at::Tensor turned = Rotate(x, rope, /*per_head=*/false);
  const int64_t fixed = model_.config.head_dim - model_.config.qk_rope_head_dim;
  EXPECT_TRUE(at::equal(turned.slice(-1, 0, fixed), x.slice(-1, 0, fixed)));
  EXPECT_TRUE(at::equal(turned.select(1, 0), x.select(1, 0)));
  // The first pair turns by one radian a position.
  const float x0 = x[1][5][fixed].item<float>(), x1 = x[1][5][fixed + 1].item<float>();
  EXPECT_NEAR(turned[1][5][fixed].item<float>(), x0 * std::cos(5.F) - x1 * std::sin(5.F), 1e-6);
  EXPECT_NEAR(turned[1][5][fixed + 1].item<float>(), x0 * std::sin(5.F) + x1 * std::cos(5.F), 1e-6);
  EXPECT_TRUE(at::allclose(Rotate(turned, rope.Inverse(), false), x, 1e-5, 1e-6));
}

TEST_F(DeepseekV4Parts, YarnKeepsFastWavesAndStretchesSlowOnes) {
  const at::Tensor yarn = RopeFrequencies(model_.config, 128);
  checkpoint::DeepseekV4Config unscaled = model_.config;
  unscaled.yarn.factor = 1.0;
  const at::Tensor ratio = RopeFrequencies(unscaled, 128) / yarn;
  EXPECT_FLOAT_EQ(ratio[0].item<float>(), 1.0F);
  EXPECT_FLOAT_EQ(ratio[-1].item<float>(), static_cast<float>(model_.config.yarn.factor));
  EXPECT_TRUE(ratio.diff().ge(-1e-6).all().item<bool>());
}

TEST_F(DeepseekV4Parts, StreamsMixDoublyStochastically) {
  const HyperConnection site(model_.loader, "layers.0.hc_attn_", model_.config);
  const int64_t n = model_.config.hc_mult, width = model_.config.hidden_size;
  const at::Tensor hidden = Waves({1, 6, n, width});
  const StreamRead read = site.Read(hidden);
  EXPECT_TRUE(at::allclose(read.mix.comb.sum(1), at::ones({6, n}), 1e-3, 1e-3));
  EXPECT_TRUE(at::allclose(read.mix.comb.sum(2), at::ones({6, n}), 1e-3, 1e-3));

  const at::Tensor y = Waves({6, width}) + 2.0;
  const at::Tensor packed = read.mix.Pack();
  const at::Tensor written = WriteStreams(hidden, y, StreamMix::Unpack(packed, n));
  const at::Tensor expected = at::einsum("tk,td->tkd", {read.mix.post, y}) +
                              at::einsum("tjk,tjd->tkd", {read.mix.comb, hidden[0]});
  EXPECT_TRUE(at::allclose(written[0], expected, 1e-5, 1e-5));
}

TEST_F(DeepseekV4Parts, ExpertClampsBothBranchesAndObservesUnweightedInputs) {
  const double limit = 0.5;
  const ExpertWeights weights = {Waves({6, 4}), Waves({4, 6}), Waves({6, 4}) * 2.0};
  const at::Tensor x = Waves({5, 4});
  const std::vector<std::string> modules = {"e.w1", "e.w2", "e.w3"};
  Recorder recorder(modules);
  const at::Tensor out = RunSwiglu(x, weights, limit, "e", {}, recorder);

  const at::Tensor gate = at::mm(x, weights[0].t()), up = at::mm(x, weights[2].t());
  ASSERT_TRUE(gate.gt(limit).any().item<bool>());
  ASSERT_TRUE(up.abs().gt(limit).any().item<bool>());
  const at::Tensor capped = at::minimum(gate, at::full({}, limit));
  const at::Tensor inner = capped / (1.0 + (-capped).exp()) * up.clamp(-limit, limit);
  EXPECT_TRUE(at::allclose(out, at::mm(inner, weights[1].t()), 1e-5, 1e-6));

  const std::vector<run::InputAmax> inputs = InputsOf(recorder, 0);
  ASSERT_EQ(inputs.size(), 3U);
  EXPECT_EQ(inputs[0].amax, x.abs().max().item<float>());
  EXPECT_NEAR(inputs[1].amax, inner.abs().max().item<float>(), 1e-6);
  EXPECT_EQ(inputs[2].amax, inputs[0].amax);
}

// The attention norm's output is what wq_a and wkv see; the routed rows are what an expert sees.
TEST_F(DeepseekV4Parts, LayerObservesWhatItsLinearLayersSee) {
  const TokenBatch batch{at::arange(30).view({1, 30}), {}};
  const at::Tensor hidden = model_.decoder->Embed(batch.ids);
  const std::vector<std::string> modules = {"layers.0.attn.wkv", "layers.0.attn.wq_a",
                                            "layers.0.ffn.experts.3.w1"};
  Recorder recorder(modules);
  RunLayer(*model_.decoder, 0, hidden, batch, 8, recorder);
  const std::vector<run::InputAmax> inputs = InputsOf(recorder, 0);

  const HyperConnection site(model_.loader, "layers.0.hc_attn_", model_.config);
  const at::Tensor x =
      RmsNorm(site.Read(hidden).x, model_.loader.LoadExact("layers.0.attn_norm.weight"),
              model_.config.rms_norm_eps);
  Tap ignored;
  const FfnStage stage = model_.decoder->LoadLayer(0, 8)->RunUntilExperts(hidden, batch, ignored);
  const at::Tensor rows = stage.x.index({stage.routing.experts.eq(3).any(-1)});
  ASSERT_EQ(inputs.size(), 3U);
  EXPECT_EQ(inputs[0].amax, x.abs().max().item<float>());
  EXPECT_EQ(inputs[1].amax, x.abs().max().item<float>());
  EXPECT_EQ(inputs[2].amax, rows.abs().max().item<float>());
  EXPECT_EQ(inputs[2].tokens, rows.size(0));
}

}  // namespace
}  // namespace vernier::calib::deepseek_v4

// Parts that families' forward passes are made of.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "calib/families/linear.h"
#include "calib/families/rope.h"
#include "calib/families/routers.h"
#include "calib/families/scaled_attention.h"
#include "calib/families/swiglu.h"
#include "calib/families/vocabulary.h"
#include "checkpoint/families/decoder_config.h"
#include "tests/calib/loop_support.h"
#include "tests/calib/model_support.h"
#include "tests/support/expect_error.h"

namespace vernier::calib {
namespace {

at::Tensor Noise(at::IntArrayRef shape) {
  at::manual_seed(5);
  return at::randn(shape);
}

// Attention as it is written in papers: every score, a mask, a softmax.
at::Tensor PlainAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                          int64_t window, double scale) {
  const int64_t length = q.size(1), group = q.size(2) / k.size(2);
  const auto expand = [&](const at::Tensor& x) {
    return x.repeat_interleave(group, 2).transpose(1, 2);
  };
  at::Tensor scores = at::matmul(q.transpose(1, 2), expand(k).transpose(2, 3)) * scale;
  for (int64_t query = 0; query < length; ++query) {
    for (int64_t key = 0; key < length; ++key) {
      if (key <= query && (window == 0 || key > query - window)) continue;
      scores.select(2, query).select(2, key).fill_(-INFINITY);
    }
  }
  return at::matmul(at::softmax(scores, -1), expand(v)).transpose(1, 2);
}

TEST(ScaledAttention, EqualsTheFormulaForAnyChunkAndWindow) {
  const at::Tensor q = Noise({2, 13, 6, 8}), k = Noise({2, 13, 3, 8}), v = Noise({2, 13, 3, 4});
  KeyValues past(20);
  past.Append(k.slice(1, 0, 7), v.slice(1, 0, 7));
  past.Append(k.slice(1, 7), v.slice(1, 7));
  for (const int64_t window : {0, 1, 5, 13, 40}) {
    const at::Tensor expected = PlainAttention(q, k, v, window, 0.3);
    for (const int64_t chunk : {1, 4, 13, 100}) {
      const at::Tensor out = InChunks(13, chunk, [&](int64_t begin, int64_t end) {
        return past.Attend(q.slice(1, begin, end), begin, window, 0.3);
      });
      EXPECT_LT(RelativeError(out, expected), 1e-6) << window << " in chunks of " << chunk;
    }
  }
}

TEST(Rope, PairsHalvesOrNeighboursAndTurnsBack) {
  const RopeTable table = MakeRopeTable(RopeFrequencies({.theta = 100.0}, 6), 0, 9, at::kCPU);
  const at::Tensor x = Noise({1, 9, 2, 6});
  for (const RopePairs pairs : {RopePairs::kHalves, RopePairs::kNeighbours}) {
    const at::Tensor turned = Rotate(x, table, /*per_head=*/true, pairs);
    EXPECT_LT(RelativeError(turned.norm(), x.norm()), 1e-6);
    EXPECT_GT(RelativeError(turned, x), 0.1);
    EXPECT_LT(RelativeError(Rotate(turned, table.Inverse(), true, pairs), x), 1e-6);
  }
  // The same rotation, with channels in another order.
  const at::Tensor order = at::tensor({0, 3, 1, 4, 2, 5}, at::kLong);
  const at::Tensor interleaved = Rotate(x.index_select(-1, order), table, true);
  EXPECT_TRUE(
      at::equal(interleaved, Rotate(x, table, true, RopePairs::kHalves).index_select(-1, order)));
}

TEST(Rope, TurnsTheFirstOrTheLastChannels) {
  const RopeTable table = MakeRopeTable(RopeFrequencies({.theta = 100.0}, 6), 0, 9, at::kCPU);
  const at::Tensor x = Noise({1, 9, 2, 11});
  const at::Tensor first = Rotate(x, table, true, RopePairs::kHalves, RopePlace::kFirst);
  EXPECT_TRUE(at::equal(first.slice(-1, 6), x.slice(-1, 6)));
  EXPECT_TRUE(
      at::equal(first.slice(-1, 0, 6), Rotate(x.slice(-1, 0, 6), table, true, RopePairs::kHalves)));
  const at::Tensor last = Rotate(x, table, true, RopePairs::kHalves, RopePlace::kLast);
  EXPECT_TRUE(at::equal(last.slice(-1, 0, 5), x.slice(-1, 0, 5)));
  EXPECT_TRUE(
      at::equal(last.slice(-1, 5), Rotate(x.slice(-1, 5), table, true, RopePairs::kHalves)));
}

TEST(Rope, ScalesFrequenciesByTheirType) {
  using checkpoint::RopeType;
  const auto of = [](checkpoint::RopeConfig config) {
    config.theta = 10000;
    config.factor = 8;
    config.original_positions = 64;
    return RopeFrequencies(config, 32);
  };
  const at::Tensor plain = of({});
  EXPECT_TRUE(at::allclose(of({.type = RopeType::kLinear}), plain / 8));
  for (const RopeType type : {RopeType::kLlama3, RopeType::kYarn}) {
    const at::Tensor ratio = plain / of({.type = type});
    EXPECT_NEAR(ratio[0].item<double>(), 1.0, 1e-6) << "the fastest wave stays";
    EXPECT_NEAR(ratio[15].item<double>(), 8.0, 1e-5) << "the slowest is stretched by the factor";
    EXPECT_TRUE((ratio.slice(0, 1) >= ratio.slice(0, 0, 15) - 1e-6).all().item<bool>());
  }
}

class Routers : public ::testing::Test {
 protected:
  const LoadedModel moe_{kTestModels / "mixtral", at::kFloat};
  const LoadedModel v3_{kTestModels / "tiny-deepseek-v3", at::kFloat};
};

TEST_F(Routers, SoftmaxWeightsSumToOneOnlyWhenNormalised) {
  checkpoint::ExpertsConfig config = {.count = 4, .per_token = 2};
  const char* module = "model.layers.0.block_sparse_moe.gate";
  const at::Tensor x = Noise({7, 64});
  const Routing normalised = SoftmaxRouter(moe_.loader, config, module).Route(x);
  EXPECT_TRUE(at::allclose(normalised.weights.sum(1), at::ones({7})));
  config.normalize = false;
  const Routing raw = SoftmaxRouter(moe_.loader, config, module).Route(x);
  EXPECT_TRUE(at::equal(raw.experts, normalised.experts));
  EXPECT_TRUE((raw.weights.sum(1) < 1).all().item<bool>());
}

TEST_F(Routers, EqualScoresGoToTheLowerExpert) {
  const checkpoint::ExpertsConfig config = {.count = 4, .per_token = 3};
  const Routing routing = SoftmaxRouter(moe_.loader, config, "model.layers.0.block_sparse_moe.gate")
                              .Route(at::zeros({1, 64}));
  EXPECT_TRUE(at::equal(routing.experts[0], at::arange(3)));
}

TEST_F(Routers, ExpertsComeFromTheChosenGroups) {
  const checkpoint::DecoderConfig& model = *v3_.source.family->Decoder();
  const auto route = [&](int64_t chosen_groups) {
    checkpoint::ExpertsConfig config = model.blocks.back().ffn.experts;
    config.per_token = 2;
    config.chosen_groups = chosen_groups;
    return GroupLimitedRouter(v3_.loader, config, "model.layers.1.mlp.gate",
                              "model.layers.1.mlp.gate.e_score_correction_bias")
        .Route(Noise({64, 128}));
  };
  const at::Tensor one = route(1).experts.div(2, "floor");  // two experts a group
  EXPECT_TRUE(at::equal(one.select(1, 0), one.select(1, 1)));
  const at::Tensor all = route(4).experts.div(2, "floor");
  EXPECT_FALSE(at::equal(all.select(1, 0), all.select(1, 1)));
}

TEST(Swiglu, ClampsTheGateAboveAndTheOtherOnBothSides) {
  const at::Tensor gate = at::tensor({-20.0f, 1.0f, 20.0f}), up = at::tensor({-9.0f, 2.0f, 9.0f});
  const auto silu = [](double x) { return x / (1 + std::exp(-x)); };
  const at::Tensor free = SwigluProduct(gate, up), clamped = SwigluProduct(gate, up, 3);
  EXPECT_NEAR(free[2].item<double>(), silu(20) * 9, 1e-3);
  EXPECT_NEAR(clamped[2].item<double>(), silu(3) * 3, 1e-5);
  EXPECT_NEAR(clamped[0].item<double>(), silu(-20) * -3, 1e-9);
  EXPECT_NEAR(clamped[1].item<double>(), free[1].item<double>(), 1e-9);
}

TEST(Linear, AddsTheBiasBeforeItsOneRounding) {
  const at::Tensor x = at::full({1, 1}, 256.0), w = at::full({1, 1}, 1.0);
  const auto bf16 = [](const at::Tensor& value) { return value.to(at::kBFloat16); };
  // 256 + 1.5 rounds to 258; rounding the product first would lose nothing, the bias' half would.
  const at::Tensor y = Linear(bf16(x), bf16(w), bf16(at::full({1}, 1.5)));
  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
  EXPECT_EQ(y.item<float>(), 258.0f);
}

// Of as many rows as are multiplied without widening the weights, and of one more.
TEST(Linear, FewRowsOfBf16AreProductsInF32) {
  const at::Tensor w = Noise({700, 301}).to(at::kBFloat16), bias = Noise({700}).to(at::kBFloat16);
  for (const int64_t rows : {0, 1, 2, 8, 9}) {
    const at::Tensor x = Noise({rows, 301}).to(at::kBFloat16);
    const at::Tensor exact = at::mm(x.to(at::kDouble), w.to(at::kDouble).t());
    const at::Tensor wide = LinearF32(x, w);
    EXPECT_EQ(wide.scalar_type(), at::kFloat);
    EXPECT_TRUE(at::allclose(wide.to(at::kDouble), exact, 1e-5, 1e-5)) << rows;
    const at::Tensor y = Linear(x, w, bias);
    EXPECT_EQ(y.scalar_type(), at::kBFloat16);
    EXPECT_TRUE(at::allclose(y.to(at::kDouble), exact + bias.to(at::kDouble), 0x1p-8, 1e-5));
  }
}

TEST(Linear, FewRowsDoNotDependOnThreads) {
  const at::Tensor w = Noise({1000, 512}).to(at::kBFloat16);
  const at::Tensor x = Noise({3, 512}).to(at::kBFloat16);
  const int threads = at::get_num_threads();
  const at::Tensor y = LinearF32(x, w);
  for (const int other : {1, 2, 5}) {
    at::set_num_threads(other);
    EXPECT_TRUE(at::equal(LinearF32(x, w), y)) << other;
  }
  at::set_num_threads(threads);
}

class ProductHeight : public ::testing::TestWithParam<at::DeviceType> {};

// A batch's size is a budget's choice, and no product may depend on it. Narrow ones and long sums
// are those that libraries cut into pieces where there are few rows.
TEST_P(ProductHeight, DoesNotChangeARow) {
  if (!HasDevice(GetParam())) GTEST_SKIP() << "no such device in this build or machine";
  constexpr int64_t kRows = 4096;
  for (const auto& [columns, width] :
       {std::pair{int64_t{24}, int64_t{8192}}, {384, 4096}, {512, 4096}, {1536, 1024}}) {
    const at::Tensor w = Noise({columns, width}).to(GetParam());
    const at::Tensor x = Noise({kRows, width}).to(GetParam());
    const auto expect_same = [&](const auto& product, const char* name) {
      const at::Tensor all = product(x);
      for (const int64_t height : {64, 500, 512, 1024, 1500, 2048}) {
        EXPECT_TRUE(at::equal(product(x.slice(0, 0, height)), all.slice(0, 0, height)))
            << name << ", " << height << " rows of " << width << " times " << columns;
      }
    };
    expect_same([&](const at::Tensor& rows) { return LinearF32(rows, w); }, "F32");
    expect_same(
        [&](const at::Tensor& rows) { return Linear(rows.to(at::kBFloat16), w.to(at::kBFloat16)); },
        "BF16");
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, ProductHeight, ::testing::ValuesIn(kTestDevices),
                         [](const auto& device) { return DeviceName(device.param); });

TEST(Vocabulary, ProjectsInRangesAndRefusesOtherIds) {
  const at::Tensor x = Noise({2, 3, 16}), projection = Noise({9000, 16});
  EXPECT_LT(RelativeError(ProjectToVocabulary(x, projection), at::matmul(x, projection.t())), 1e-6);
  const LoadedModel model(kTestModels / "tiny-llama", at::kFloat);
  EXPECT_VERNIER_ERROR(model.decoder->Embed(at::tensor({1, 512}, at::kLong).view({1, 2})),
                       ErrorCode::kBadTokenIds, "512");
}

}  // namespace
}  // namespace vernier::calib

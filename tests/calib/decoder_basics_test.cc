// Building blocks that families share: linear layers, selection, loading and observing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "calib/families/linear.h"
#include "calib/families/rms_norm.h"
#include "calib/families/top_k.h"
#include "tests/calib/deepseek_v4_support.h"

namespace vernier::calib {
namespace {

ErrorCode CodeOf(const auto& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::kFileOpen;
}

at::Tensor Waves(int64_t rows, int64_t columns) {
  return (at::arange(rows * columns, at::kFloat) * 1.3).cos().view({rows, columns});
}

TEST(TopIndices, EqualScoresGoToTheLowerIndex) {
  const at::Tensor scores = at::tensor({0.0F, 2.0F, -0.0F, 0.0F, 2.0F, -1.0F, -0.0F});
  const at::Tensor expected = at::tensor({1, 4, 0, 2, 3}, at::kLong);
  EXPECT_TRUE(at::equal(TopIndices(scores, 5), expected));
}

TEST(TopIndices, StaysStableInLongRows) {
  const int64_t length = 5000;
  const at::Tensor scores = at::arange(length).remainder(3).to(at::kFloat).repeat({2, 1});
  const at::Tensor expected = at::arange(2, length, 3).slice(0, 0, 900);
  EXPECT_TRUE(at::equal(TopIndices(scores, 900), expected.repeat({2, 1})));
}

TEST(Linear, Bf16IsAccumulatedInF32AndRoundedOnce) {
  const at::Tensor x = Waves(3, 700).to(at::kBFloat16), w = Waves(5, 700).to(at::kBFloat16);
  const at::Tensor exact = at::mm(x.to(at::kDouble), w.to(at::kDouble).t());
  const at::Tensor y = Linear(x, w);
  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
  // Half a unit of BF16's last place, and what F32 accumulation may add to it.
  EXPECT_TRUE(at::allclose(y.to(at::kDouble), exact, std::ldexp(1.0, -8), 1e-4));
  EXPECT_TRUE(at::allclose(LinearF32(x, w).to(at::kDouble), exact, 1e-5, 1e-4));
}

TEST(Linear, GroupsSeeTheirOwnWeights) {
  const int64_t groups = 3, k = 8, n = 5;
  const at::Tensor x = Waves(4, groups * k).view({4, groups, k}), w = Waves(groups * n, k);
  const at::Tensor y = GroupedLinear(x, w);
  for (int64_t g = 0; g < groups; ++g) {
    const at::Tensor expected = Linear(x.select(1, g), w.slice(0, g * n, (g + 1) * n));
    EXPECT_TRUE(at::allclose(y.slice(1, g * n, (g + 1) * n), expected, 1e-5, 1e-6)) << g;
  }
}

TEST(RmsNorm, HasUnitMeanSquareTimesItsWeight) {
  const at::Tensor x = Waves(2, 64) * 100.0, weight = Waves(1, 64).view({64});
  EXPECT_TRUE(at::allclose(RmsNormalize(x, 1e-6).square().mean(-1), at::ones({2}), 1e-5));
  EXPECT_TRUE(at::allclose(RmsNorm(x, weight, 1e-6), RmsNormalize(x, 1e-6) * weight));
}

TEST(InputObserver, KeepsTheLargestMagnitudeAndCountsRows) {
  const std::vector<std::string> modules = {"b", "a", "never"};
  InputObserver observer(modules);
  observer.Observe("b", at::tensor({1.0F, -3.5F, 2.0F, 0.0F}).view({2, 2}));
  observer.Observe("b", at::tensor({3.0F, 1.0F}).view({1, 1, 2}));
  observer.Observe("a", at::zeros({4, 2}, at::kBFloat16));
  observer.Observe("a", at::empty({0, 2}));
  observer.Observe("unwanted", at::ones({1, 1}));
  const std::vector<run::InputAmax> inputs = observer.Snapshot(7);
  ASSERT_EQ(inputs.size(), 2U);
  EXPECT_EQ(inputs[0].module, "a");
  EXPECT_EQ(inputs[0].amax, 0.0F);
  EXPECT_EQ(inputs[0].tokens, 4);
  EXPECT_EQ(inputs[1].module, "b");
  EXPECT_EQ(inputs[1].layer, 7);
  EXPECT_EQ(inputs[1].amax, 3.5F);
  EXPECT_EQ(inputs[1].tokens, 3);
  EXPECT_TRUE(observer.Snapshot(8).empty());
}

TEST(InputObserver, ReportsNanAndInfinityWithModuleAndLayer) {
  const std::vector<std::string> modules = {"layers.3.attn.wkv"};
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    for (const bool bad_first : {true, false}) {
      InputObserver observer(modules);
      const at::Tensor fine = at::ones({1, 2}), broken = at::full({1, 2}, bad);
      observer.Observe(modules[0], bad_first ? broken : fine);
      observer.Observe(modules[0], bad_first ? fine : broken);
      try {
        observer.Snapshot(3);
        FAIL() << bad;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kBadActivation);
        EXPECT_THAT(error.what(), ::testing::HasSubstr("layers.3.attn.wkv"));
        EXPECT_THAT(error.what(), ::testing::HasSubstr("layer 3"));
      }
    }
  }
}

TEST(TensorLoader, ReadsRowsInAnyOrderWithRepeats) {
  const TestModel model(kTinyModel, at::kBFloat16);
  const at::Tensor whole = model.loader.Load("embed.weight");
  const at::Tensor rows = at::tensor({900, 3, 4, 5, 3, 0}, at::kLong);
  EXPECT_EQ(whole.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(model.loader.LoadRows("embed.weight", rows), whole.index_select(0, rows)));
}

TEST(TensorLoader, WidensOnlyWhatIsAskedForExactly) {
  const TestModel model(kTinyModel, at::kBFloat16);
  EXPECT_EQ(model.loader.LoadExact("layers.0.hc_attn_fn").scalar_type(), at::kFloat);
  EXPECT_EQ(model.loader.LoadExact("layers.0.ffn.gate.tid2eid").scalar_type(), at::kLong);
  // FP8 and MXFP4 values are BF16 numbers, so both dtypes hold the same.
  const TestModel exact(kTinyModel, at::kFloat);
  for (const char* name : {"layers.1.attn.wo_b.weight", "layers.1.ffn.experts.2.w2.weight"}) {
    EXPECT_TRUE(at::equal(model.loader.Load(name).to(at::kFloat), exact.loader.Load(name))) << name;
  }
}

TEST(TensorLoader, NamesAMissingTensor) {
  const TestModel model(kTinyModel, at::kFloat);
  EXPECT_TRUE(model.loader.Has("norm.weight"));
  EXPECT_FALSE(model.loader.Has("norm"));
  EXPECT_FALSE(model.loader.Has("layers.0.attn.compressor.ape"));
  EXPECT_EQ(CodeOf([&] { model.loader.Load("layers.99.attn.wkv.weight"); }),
            ErrorCode::kMissingTensor);
}

TEST(InputObserver, ClampingLeavesBadValuesOutOfAmaxAndRecordsThem) {
  const std::vector<std::string> modules = {"m"};
  InputObserver observer(modules, OnNonFinite::kClamp);
  const float inf = std::numeric_limits<float>::infinity();
  observer.SetSamples(at::tensor({4, 4, 9}, at::kLong));
  observer.Observe("m", at::tensor({1.0F, 2.0F, 3.0F, 4.0F, -inf, std::nanf("")}).view({3, 2}));
  observer.SetSamples(at::tensor({10}, at::kLong));
  observer.Observe("m", at::tensor({inf, -5.0F}).view({1, 2}));
  const std::vector<run::InputAmax> inputs = observer.Inputs(2);
  ASSERT_EQ(inputs.size(), 1U);
  EXPECT_EQ(inputs[0].amax, 5.0F);
  EXPECT_EQ(inputs[0].tokens, 4);
  const std::vector<run::NonFiniteRecord> records = observer.NonFinites(2);
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].layer, 2);
  EXPECT_EQ(records[0].sample, 9);
  EXPECT_EQ(records[0].value, "-inf");
  EXPECT_EQ(records[0].count, 3);
}

TEST(InputObserver, ClampsHiddenStatesToTheLargestFiniteValue) {
  InputObserver observer({}, OnNonFinite::kClamp);
  const float inf = std::numeric_limits<float>::infinity();
  const at::Tensor bad = at::tensor({1.0F, inf, -inf, std::nanf("")}).to(at::kBFloat16);
  const at::Tensor clamped = observer.Clamp("layers.1", bad).to(at::kFloat);
  EXPECT_EQ(clamped[0].item<float>(), 1.0F);
  EXPECT_TRUE(std::isfinite(clamped[1].item<float>()));
  EXPECT_GT(clamped[1].item<float>(), 3e38F);
  EXPECT_EQ(clamped[2].item<float>(), -clamped[1].item<float>());
  EXPECT_EQ(clamped[3].item<float>(), 0.0F);
  EXPECT_EQ(observer.NonFinites(1).at(0).count, 3);
}

TEST(InputObserver, GoesOnFromWhatItReturned) {
  const std::vector<std::string> modules = {"a", "b"};
  InputObserver first(modules, OnNonFinite::kClamp);
  first.Observe("a", at::full({3, 2}, 1.5F));
  first.Observe("a", at::full({1, 2}, std::nanf("")));
  InputObserver second(modules, OnNonFinite::kClamp);
  second.Restore(first.Inputs(0), first.NonFinites(0), at::kCPU);
  second.Observe("a", at::full({2, 2}, 0.5F).to(at::kBFloat16));
  second.Observe("a", at::full({1, 2}, std::nanf("")));
  second.Observe("b", at::full({2, 2}, 0.25F));
  const std::vector<run::InputAmax> inputs = second.Inputs(0);
  ASSERT_EQ(inputs.size(), 2U);
  EXPECT_EQ(inputs[0].amax, 1.5F);
  EXPECT_EQ(inputs[0].tokens, 7);
  EXPECT_EQ(inputs[1].amax, 0.25F);
  EXPECT_EQ(second.NonFinites(0).at(0).count, 4);
}

TEST(BadInputFinder, NamesTheSampleOfTheFirstBadRow) {
  BadInputFinder finder(6, at::tensor({3, 3, 5, 8}, at::kLong));
  finder.Observe("fine", at::ones({4, 2}));
  // Two groups a token, as a grouped linear layer sees it.
  at::Tensor x = at::ones({8, 2});
  x[5][1] = -std::numeric_limits<float>::infinity();
  try {
    finder.Observe("layers.6.attn.wo_a", x);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadActivation);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("layers.6.attn.wo_a"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("-inf in layer 6, sample 5"));
  }
}

}  // namespace
}  // namespace vernier::calib

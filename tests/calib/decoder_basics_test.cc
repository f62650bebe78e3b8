// Building blocks that families share: linear layers, selection and loading.
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

}  // namespace
}  // namespace vernier::calib

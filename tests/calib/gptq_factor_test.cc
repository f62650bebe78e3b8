#include "calib/gptq_factor.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "tests/calib/loop_support.h"

namespace vernier::calib {
namespace {

constexpr int64_t kColumns = 48, kTokens = 500;

// A sum of outer products of correlated inputs, its upper triangle.
at::Tensor MakeHessian(int64_t columns = kColumns) {
  at::manual_seed(1);
  const at::Tensor mix = at::randn({columns, columns}) * at::rand({columns}).mul(3).exp();
  const at::Tensor x = at::randn({kTokens, columns}).mm(mix);
  return x.t().mm(x).triu();
}

// U^T U = inverse of the damped matrix, by positions.
void ExpectFactorOfInverse(const at::Tensor& sum, const GptqFactor& factor) {
  const at::Tensor upper = sum.to(at::kDouble) / sum.diagonal().mean().to(at::kDouble);
  at::Tensor h = upper + upper.triu(1).t();
  h.diagonal().add_(kGptqDamping);
  const at::Tensor order = at::tensor(factor.order, at::kInt).to(at::kLong);
  const at::Tensor permuted = h.index_select(0, order).index_select(1, order);
  const at::Tensor u = factor.upper.cpu().to(at::kDouble);
  EXPECT_EQ((u.tril(-1) != 0).sum().item<int64_t>(), 0);
  const at::Tensor identity = u.t().mm(u).mm(permuted);
  EXPECT_LT((identity - at::eye(h.size(0), at::kDouble)).abs().max().item<double>(), 1e-3);
}

TEST(GptqFactor, IsThatOfTheInverseOnEachDevice) {
  // The larger one is inverted by parts.
  for (const int64_t columns : {kColumns, int64_t{1200}}) {
    const at::Tensor sum = MakeHessian(columns);
    for (const at::DeviceType device : kTestDevices) {
      if (!HasDevice(device)) continue;
      const std::optional<GptqFactor> factor = FactorOf(sum.to(device));
      ASSERT_TRUE(factor);
      ExpectFactorOfInverse(sum, *factor);
    }
  }
}

// Inputs of any size: factors must not leave the range in which F32 has squares.
TEST(GptqFactor, DoesNotDependOnTheUnit) {
  const std::optional<GptqFactor> factor = FactorOf(MakeHessian());
  ASSERT_TRUE(factor);
  for (const double unit : {0x1p-100, 0x1p60}) {
    const std::optional<GptqFactor> other = FactorOf(MakeHessian() * unit);
    ASSERT_TRUE(other);
    EXPECT_EQ(other->order, factor->order);
    EXPECT_TRUE(at::allclose(other->upper, factor->upper, 1e-5, 1e-6));
  }
}

TEST(GptqFactor, TakesBlocksOfColumnsWhole) {
  const std::optional<GptqFactor> factor = FactorOf(MakeHessian());
  ASSERT_TRUE(factor);
  std::vector<int> seen(kColumns);
  for (size_t i = 0; i < factor->order.size(); ++i) {
    ++seen[static_cast<size_t>(factor->order[i])];
    EXPECT_EQ(factor->order[i] / 16, factor->order[i / 16 * 16] / 16);
  }
  EXPECT_EQ(seen, std::vector<int>(kColumns, 1));
}

TEST(GptqFactor, FewTokensAreDampedAndNoneHaveNoFactor) {
  const at::Tensor one = at::zeros({kColumns, kColumns});
  one[3][3] = 4;
  ASSERT_TRUE(FactorOf(one));
  EXPECT_TRUE(FactorOf(one)->upper.isfinite().all().item<bool>());
  EXPECT_FALSE(FactorOf(at::zeros({kColumns, kColumns})));
  one[4][4] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(FactorOf(one));
}

}  // namespace
}  // namespace vernier::calib

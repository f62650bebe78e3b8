#include "calib/layertest/error_sums.h"

#include <gtest/gtest.h>

#include <cmath>

namespace vernier::calib {
namespace {

TEST(ErrorSumsTest, KnownNumbers) {
  ErrorSums sums;
  EXPECT_FALSE(sums.Stats().has_value());
  sums.Add(at::tensor({3.0f, 4.0f}).view({1, 2}), at::tensor({3.0f, 3.0f}).view({1, 2}));
  const ErrorStats stats = sums.Stats().value();
  EXPECT_EQ(stats.rows, 1);
  EXPECT_DOUBLE_EQ(stats.relative_error, 1.0 / 5.0);
  EXPECT_DOUBLE_EQ(stats.cosine, 21.0 / (5.0 * std::sqrt(18.0)));
  EXPECT_DOUBLE_EQ(stats.sqnr_db, 20 * std::log10(5.0));
  EXPECT_EQ(stats.max_abs_error, 1);
}

TEST(ErrorSumsTest, EqualOutputsHaveNoErrorAtAll) {
  const at::Tensor y = at::arange(1, 301, at::kFloat).div(7).view({100, 3}).to(at::kBFloat16);
  ErrorSums sums;
  sums.Add(y, y.clone());
  const ErrorStats stats = sums.Stats().value();
  EXPECT_EQ(stats.rows, 100);
  EXPECT_EQ(stats.relative_error, 0);
  EXPECT_EQ(stats.cosine, 1);
  EXPECT_TRUE(std::isinf(stats.sqnr_db) && stats.sqnr_db > 0);
  EXPECT_EQ(stats.max_abs_error, 0);
}

TEST(ErrorSumsTest, BatchesAddUp) {
  const at::Tensor y = at::arange(0, 60, at::kFloat).view({12, 5}).cos();
  const at::Tensor z = y + at::arange(0, 60, at::kFloat).view({12, 5}).sin() * 0.01;
  ErrorSums whole, parts;
  whole.Add(y, z);
  for (const int64_t first : {0, 5, 11}) {
    const int64_t end = first == 0 ? 5 : first == 5 ? 11 : 12;
    parts.Add(y.slice(0, first, end), z.slice(0, first, end));
  }
  EXPECT_EQ(parts.Stats()->rows, 12);
  EXPECT_NEAR(parts.Stats()->relative_error, whole.Stats()->relative_error, 1e-12);
  EXPECT_NEAR(parts.Stats()->cosine, whole.Stats()->cosine, 1e-12);
  EXPECT_EQ(parts.Stats()->max_abs_error, whole.Stats()->max_abs_error);
}

TEST(ErrorSumsTest, ZerosAreNoDivisionByZero) {
  ErrorSums from_zero, to_zero;
  from_zero.Add(at::zeros({2, 2}), at::ones({2, 2}));
  EXPECT_TRUE(std::isinf(from_zero.Stats()->relative_error));
  EXPECT_EQ(from_zero.Stats()->cosine, 0);
  to_zero.Add(at::ones({2, 2}), at::zeros({2, 2}));
  EXPECT_EQ(to_zero.Stats()->relative_error, 1);
  EXPECT_EQ(to_zero.Stats()->cosine, 0);
  EXPECT_EQ(to_zero.Stats()->sqnr_db, 0);
}

}  // namespace
}  // namespace vernier::calib

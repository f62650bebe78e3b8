#include "quantizers/square_sums.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "quantizers/float_formats.h"
#include "tests/quantizers/format_inputs.h"

namespace vernier::quantizers {
namespace {

constexpr size_t kRows = 37, kColumns = 45;

std::vector<float> Values(size_t count) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = std::ldexp(normal(random), static_cast<int>(random() % 24));
  return values;
}

// Row by row, in F64.
template <typename Widen, typename Real>
std::vector<double> Expected(const std::vector<Real>& rows, Widen widen) {
  std::vector<double> sums(kColumns);
  for (size_t i = 0; i < rows.size(); ++i) {
    const double x = widen(rows[i]);
    sums[i % kColumns] = std::fma(x, x, sums[i % kColumns]);
  }
  return sums;
}

TEST(SquareSums, AreThoseOfTheDefinitionOnEveryTarget) {
  const std::vector<float> f32 = Values(kRows * kColumns);
  const std::vector<uint16_t> bf16 = ToBf16(f32);
  const auto expected_f32 = Expected(f32, [](float x) { return x; });
  const auto expected_bf16 = Expected(bf16, [](uint16_t x) { return Bf16ToFloat(x); });
  OnEveryTarget([&] {
    std::vector<double> sums(kColumns);
    AddSquares(std::span(f32), kColumns, sums);
    EXPECT_EQ(sums, expected_f32);
    std::ranges::fill(sums, 0);
    AddSquares(std::span(bf16), kColumns, sums);
    EXPECT_EQ(sums, expected_bf16);
  });
}

TEST(SquareSums, DoNotDependOnWhereRowsAreCut) {
  const std::vector<float> rows = Values(kRows * kColumns);
  std::vector<double> whole(kColumns);
  AddSquares(std::span(rows), kColumns, whole);
  for (const size_t step : {1, 3, 8, 20}) {
    std::vector<double> sums(kColumns);
    for (size_t row = 0; row < kRows; row += step) {
      const size_t count = std::min(step, kRows - row);
      AddSquares(std::span(rows).subspan(row * kColumns, count * kColumns), kColumns, sums);
    }
    EXPECT_EQ(sums, whole) << step;
  }
}

TEST(SquareSums, SomeColumnsOfWiderRows) {
  const std::vector<float> rows = Values(kRows * kColumns);
  std::vector<double> whole(kColumns);
  AddSquares(std::span(rows), kColumns, whole);
  for (const auto& [begin, end] : {std::pair<size_t, size_t>{0, 7}, {7, 40}, {40, kColumns}}) {
    std::vector<double> sums(end - begin);
    const size_t size = (kRows - 1) * kColumns + sums.size();
    AddSquares(std::span(rows).subspan(begin, size), kColumns, sums);
    EXPECT_TRUE(std::ranges::equal(sums, std::span(whole).subspan(begin, sums.size())));
  }
}

// The square of the largest F32 is no F32; NaN and infinity stay.
TEST(SquareSums, HaveRoomForEveryFiniteValue) {
  OnEveryTarget([] {
    const std::vector<float> rows = {3e38f, kInfinity, kNan, 3e38f, 1, 1};
    std::vector<double> sums(3);
    AddSquares(std::span(rows), 3, sums);
    EXPECT_NEAR(sums[0], 1.8e77, 1e72);
    EXPECT_TRUE(std::isinf(sums[1]));
    EXPECT_TRUE(std::isnan(sums[2]));
    AddSquares(std::span<const float>(), 3, sums);
    EXPECT_NEAR(sums[0], 1.8e77, 1e72);
  });
}

}  // namespace
}  // namespace vernier::quantizers

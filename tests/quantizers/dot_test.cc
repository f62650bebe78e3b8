#include "quantizers/dot.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "quantizers/dot_reference.h"
#include "quantizers/float_formats.h"
#include "tests/quantizers/format_inputs.h"

namespace vernier::quantizers {
namespace {

// Values of very different magnitudes, so that the order of sums shows.
std::vector<float> UnevenValues(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = std::ldexp(normal(random), static_cast<int>(random() % 24));
  return values;
}

template <typename Real>
void ExpectTheDefinition(const std::vector<float>& x, const std::vector<Real>& rows, size_t count) {
  std::vector<float> expected;
  for (size_t row = 0; row < count; ++row) {
    const std::span<const Real> one = std::span(rows).subspan(row * x.size(), x.size());
    expected.push_back(reference::Dot<Real>(x, one));
  }
  OnEveryTarget([&] {
    std::vector<float> products(count, -1.0f);
    MultiplyRows(x, std::span<const Real>(rows), products);
    EXPECT_EQ(Bits(products), Bits(expected)) << x.size() << " columns";
  });
}

TEST(Dot, EqualsTheDefinitionForEveryLengthOnEveryTarget) {
  constexpr size_t kRows = 3;
  for (size_t length = 0; length < 70; ++length) {
    const std::vector<float> x = UnevenValues(length, 1), rows = UnevenValues(kRows * length, 2);
    ExpectTheDefinition(x, rows, kRows);
    ExpectTheDefinition(x, ToBf16(rows), kRows);
  }
}

TEST(Dot, ItsDefinitionIsASumOfProducts) {
  const std::vector<float> x = UnevenValues(1000, 3);
  const std::vector<uint16_t> row = ToBf16(UnevenValues(1000, 4));
  double sum = 0, magnitudes = 0;
  for (size_t k = 0; k < x.size(); ++k) {
    const double product = static_cast<double>(x[k]) * static_cast<double>(Bf16ToFloat(row[k]));
    sum += product;
    magnitudes += std::fabs(product);
  }
  EXPECT_NEAR(reference::Dot<uint16_t>(x, row), sum, 1e-6 * magnitudes);
}

TEST(Dot, NanAndInfinityReachTheProduct) {
  OnEveryTarget([] {
    for (const size_t place : {0u, 16u, 33u}) {
      std::vector<float> x(34, 1.0f), product(1);
      const std::vector<float> row(34, 2.0f);
      x[place] = kInfinity;
      MultiplyRows(x, std::span(row), product);
      EXPECT_EQ(product[0], kInfinity);
      x[place] = kNan;
      MultiplyRows(x, std::span(row), product);
      EXPECT_TRUE(std::isnan(product[0]));
    }
  });
}

}  // namespace
}  // namespace vernier::quantizers

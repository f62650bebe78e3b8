#include "quantizers/outer_products.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include "quantizers/float_formats.h"
#include "tests/quantizers/format_inputs.h"

namespace vernier::quantizers {
namespace {

constexpr size_t kOuterRows = 150, kOuterBlocks = 3, kOuterColumns = kOuterBlocks * kOuterBlock;

std::vector<float> OuterValues() {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(kOuterRows * kOuterColumns);
  for (float& value : values) value = std::ldexp(normal(random), static_cast<int>(random() % 12));
  return values;
}

// By the definition, on top of `sums`.
template <typename Widen, typename Real>
std::vector<float> ExpectedOuter(const std::vector<Real>& rows, Widen widen,
                                 std::vector<float> sums) {
  for (size_t r = 0; r < rows.size() / kOuterColumns; ++r) {
    for (size_t b = 0; b < kOuterBlocks; ++b) {
      for (size_t i = 0; i < kOuterBlock; ++i) {
        for (size_t j = i; j < kOuterBlock; ++j) {
          const Real* block = rows.data() + r * kOuterColumns + b * kOuterBlock;
          float& sum = sums[b * kOuterTriangle + InOuterTriangle(i, j)];
          sum = std::fma(widen(block[i]), widen(block[j]), sum);
        }
      }
    }
  }
  return sums;
}

std::vector<float> OnesEverywhere() { return std::vector<float>(kOuterBlocks * kOuterTriangle, 1); }

TEST(OuterProducts, TrianglesAreRowByRow) {
  size_t place = 0;
  for (size_t i = 0; i < kOuterBlock; ++i) {
    for (size_t j = i; j < kOuterBlock; ++j) EXPECT_EQ(InOuterTriangle(i, j), place++);
  }
  EXPECT_EQ(place, kOuterTriangle);
}

TEST(OuterProducts, AreThoseOfTheDefinitionOnEveryTarget) {
  const std::vector<float> f32 = OuterValues();
  const std::vector<uint16_t> bf16 = ToBf16(f32);
  const auto expected_f32 = ExpectedOuter(
      f32, [](float x) { return x; }, OnesEverywhere());
  const auto expected_bf16 = ExpectedOuter(
      bf16, [](uint16_t x) { return Bf16ToFloat(x); }, OnesEverywhere());
  OnEveryTarget([&] {
    std::vector<float> sums = OnesEverywhere();
    AddOuterProducts(std::span(f32), kOuterColumns, sums);
    EXPECT_EQ(sums, expected_f32);
    sums = OnesEverywhere();
    AddOuterProducts(std::span(bf16), kOuterColumns, sums);
    EXPECT_EQ(sums, expected_bf16);
    AddOuterProducts(std::span<const float>(), kOuterColumns, sums);
    EXPECT_EQ(sums, expected_bf16) << "no rows";
  });
}

TEST(OuterProducts, DoNotDependOnWhereRowsAreCut) {
  const std::vector<float> rows = OuterValues();
  std::vector<float> whole(kOuterBlocks * kOuterTriangle);
  AddOuterProducts(std::span(rows), kOuterColumns, whole);
  for (const size_t step : {1, 3, 64, 100}) {
    std::vector<float> sums(whole.size());
    for (size_t row = 0; row < kOuterRows; row += step) {
      const size_t count = std::min(step, kOuterRows - row);
      AddOuterProducts(std::span(rows).subspan(row * kOuterColumns, count * kOuterColumns),
                       kOuterColumns, sums);
    }
    EXPECT_EQ(sums, whole) << step;
  }
}

TEST(OuterProducts, SomeBlocksOfWiderRows) {
  const std::vector<float> rows = OuterValues();
  std::vector<float> whole(kOuterBlocks * kOuterTriangle);
  AddOuterProducts(std::span(rows), kOuterColumns, whole);
  for (const auto& [begin, end] : {std::pair<size_t, size_t>{0, 1}, {1, 3}}) {
    std::vector<float> sums((end - begin) * kOuterTriangle);
    const size_t size = (kOuterRows - 1) * kOuterColumns + (end - begin) * kOuterBlock;
    AddOuterProducts(std::span(rows).subspan(begin * kOuterBlock, size), kOuterColumns, sums);
    EXPECT_TRUE(
        std::ranges::equal(sums, std::span(whole).subspan(begin * kOuterTriangle, sums.size())));
  }
}

}  // namespace
}  // namespace vernier::quantizers

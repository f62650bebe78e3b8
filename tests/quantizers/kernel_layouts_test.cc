#include "quantizers/kernel_layouts.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "quantizers/float_formats.h"

namespace vernier::quantizers {
namespace {

std::vector<uint8_t> RandomBytes(size_t count) {
  std::mt19937 random(3);
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(1 + random() % 0x7E);  // no padding zero
  return bytes;
}

std::vector<uint8_t> Swizzled(ScaleSwizzle swizzle, const std::vector<uint8_t>& scales,
                              int64_t columns) {
  const auto rows = static_cast<int64_t>(scales.size()) / columns;
  std::vector<uint8_t> swizzled(SwizzledSize(swizzle, rows, columns), 0xEE);
  SwizzleScales(swizzle, scales, columns, swizzled);
  return swizzled;
}

// [row][column] as a number that names it.
std::vector<uint8_t> NamedScales(int64_t rows, int64_t columns, bool name_rows) {
  std::vector<uint8_t> scales;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      scales.push_back(static_cast<uint8_t>(name_rows ? row : column));
    }
  }
  return scales;
}

TEST(ScaleSwizzle, Begins128x4AsFlashInfer) {
  const auto rows = Swizzled(ScaleSwizzle::k128x4, NamedScales(128, 8, true), 8);
  const auto columns = Swizzled(ScaleSwizzle::k128x4, NamedScales(128, 8, false), 8);
  ASSERT_EQ(rows.size(), 1024u);
  const std::vector<uint8_t> expected_rows = {0,  0,  0,  0,  32, 32, 32, 32, 64, 64,
                                              64, 64, 96, 96, 96, 96, 1,  1,  1,  1};
  for (size_t i = 0; i < expected_rows.size(); ++i) {
    EXPECT_EQ(rows[i], expected_rows[i]) << i;
    EXPECT_EQ(columns[i], i % 4) << i;
  }
  EXPECT_EQ(rows[512], 0);
  EXPECT_EQ(columns[512], 4);
}

TEST(ScaleSwizzle, FollowsTheOffsetFormulas) {
  constexpr int64_t kRows = 300;
  constexpr int64_t kColumns = 10;
  const auto scales = RandomBytes(kRows * kColumns);
  const auto large = Swizzled(ScaleSwizzle::k128x4, scales, kColumns);
  const auto small = Swizzled(ScaleSwizzle::k8x4, scales, kColumns);
  ASSERT_EQ(large.size(), 384u * 12u);
  ASSERT_EQ(small.size(), 304u * 12u);
  for (int64_t m = 0; m < kRows; ++m) {
    for (int64_t k = 0; k < kColumns; ++k) {
      const uint8_t expected = scales[m * kColumns + k];
      const int64_t in_large = (m / 128 * 3 + k / 4) * 512 + m % 32 * 16 + m % 128 / 32 * 4 + k % 4;
      const int64_t in_small = (m / 8 * 3 + k / 4) * 32 + m % 8 * 4 + k % 4;
      ASSERT_EQ(large[in_large], expected) << m << " " << k;
      ASSERT_EQ(small[in_small], expected) << m << " " << k;
    }
  }
}

class SwizzleShapes : public ::testing::TestWithParam<std::pair<int64_t, int64_t>> {};

TEST_P(SwizzleShapes, PadsWithZerosAndComesBack) {
  const auto [rows, columns] = GetParam();
  const auto scales = RandomBytes(static_cast<size_t>(rows * columns));
  for (const ScaleSwizzle swizzle : {ScaleSwizzle::k128x4, ScaleSwizzle::k8x4}) {
    const auto swizzled = Swizzled(swizzle, scales, columns);
    const auto zeros = std::count(swizzled.begin(), swizzled.end(), 0);
    EXPECT_EQ(zeros, static_cast<int64_t>(swizzled.size() - scales.size()));
    std::vector<uint8_t> restored(scales.size());
    UnswizzleScales(swizzle, swizzled, columns, restored);
    EXPECT_EQ(restored, scales);
  }
}

INSTANTIATE_TEST_SUITE_P(Odd, SwizzleShapes,
                         ::testing::Values(std::pair<int64_t, int64_t>{1, 1}, std::pair(7, 3),
                                           std::pair(8, 4), std::pair(127, 5), std::pair(129, 9),
                                           std::pair(256, 128), std::pair(0, 4)));

TEST(MegaMoeScales, FollowTheDescription) {
  constexpr int64_t kRows = 384;
  constexpr int64_t kColumns = 12;
  const auto scales = RandomBytes(kRows * kColumns);
  std::vector<uint8_t> packed(scales.size());
  PackMegaMoeScales(scales, kColumns, packed);
  for (int64_t row = 0; row < kRows; ++row) {
    const int64_t moved = (row & ~int64_t{127}) + (row & 31) * 4 + ((row >> 5) & 3);
    for (int64_t column = 0; column < kColumns; ++column) {
      const int64_t word = column / 4 * kRows + moved;  // column by column of int32
      ASSERT_EQ(packed[word * 4 + column % 4], scales[row * kColumns + column]);
    }
  }
  std::vector<uint8_t> restored(scales.size());
  UnpackMegaMoeScales(packed, kColumns, restored);
  EXPECT_EQ(restored, scales);
}

TEST(MegaMoeScales, AreTheSwizzledTilesInATransposedGrid) {
  constexpr int64_t kRowTiles = 3;
  constexpr int64_t kColumnTiles = 5;
  const auto scales = RandomBytes(kRowTiles * 128 * kColumnTiles * 4);
  const auto swizzled = Swizzled(ScaleSwizzle::k128x4, scales, kColumnTiles * 4);
  std::vector<uint8_t> packed(scales.size());
  PackMegaMoeScales(scales, kColumnTiles * 4, packed);
  for (int64_t m = 0; m < kRowTiles; ++m) {
    for (int64_t k = 0; k < kColumnTiles; ++k) {
      EXPECT_TRUE(std::equal(packed.begin() + (k * kRowTiles + m) * 512,
                             packed.begin() + (k * kRowTiles + m + 1) * 512,
                             swizzled.begin() + (m * kColumnTiles + k) * 512));
    }
  }
}

template <typename SourceOf>
std::vector<int64_t> RowMap(int64_t rows, SourceOf source_of) {
  std::vector<int64_t> map(static_cast<size_t>(rows));
  for (int64_t row = 0; row < rows; ++row) map[static_cast<size_t>(row)] = source_of(row);
  return map;
}

void ExpectPermutation(std::vector<int64_t> map) {
  std::vector<int64_t> identity(map.size());
  std::iota(identity.begin(), identity.end(), 0);
  std::sort(map.begin(), map.end());
  EXPECT_EQ(map, identity);
}

TEST(RowMaps, GateAndUpAlternateInEights) {
  const auto map = RowMap(64, [](int64_t row) { return GateUpInterleaveSource(row, 64); });
  for (int64_t i = 0; i < 8; ++i) {
    EXPECT_EQ(map[i], i);            // gate 0-7
    EXPECT_EQ(map[8 + i], 32 + i);   // up 0-7
    EXPECT_EQ(map[16 + i], 8 + i);   // gate 8-15
    EXPECT_EQ(map[56 + i], 56 + i);  // up 24-31
  }
  ExpectPermutation(map);
}

TEST(RowMaps, TrtllmGenBeginsAsFlashInfer) {
  const auto map = RowMap(128, [](int64_t row) { return TrtllmGenGatedSource(row, 128); });
  const std::vector<int64_t> expected = {0, 2, 4, 6, 8, 10, 12, 14, 64, 66, 68, 70, 72, 74, 76, 78};
  EXPECT_EQ(std::vector<int64_t>(map.begin(), map.begin() + 16), expected);
  ExpectPermutation(map);
  ExpectPermutation(RowMap(256, TrtllmGenShuffleSource));
  EXPECT_EQ(TrtllmGenShuffleSource(33), 36);
}

TEST(RowMaps, ScatterUndoesGather) {
  constexpr int64_t kRows = 96;
  const auto map = RowMap(kRows, [](int64_t row) { return TrtllmGenGatedSource(row, kRows); });
  const auto source = RandomBytes(kRows * 5);
  std::vector<uint8_t> gathered(source.size());
  std::vector<uint8_t> restored(source.size());
  GatherRows(source, map, gathered);
  EXPECT_EQ(gathered[5 * 3 + 2], source[map[3] * 5 + 2]);
  ScatterRows(gathered, map, restored);
  EXPECT_EQ(restored, source);
  GatherRows({}, {}, {});
  ScatterRows({}, {}, {});
}

TEST(FoldGlobalScale, IsExactForPowersOfTwoInRange) {
  std::vector<uint8_t> scales;  // 2^-3 .. 2^3: room for a shift by 2^-3 or 2^5
  for (uint8_t code = 4 << 3; code <= 10 << 3; ++code) scales.push_back(code);
  std::vector<uint8_t> folded(scales.size());
  for (const float factor : {0x1p-3f, 1.0f, 0x1p5f}) {
    const FoldStats stats = FoldGlobalScale(scales, 0x1p-10f, factor * 0x1p10f, folded);
    EXPECT_EQ(stats.scales, static_cast<int64_t>(scales.size()));
    EXPECT_EQ(stats.inexact + stats.saturated + stats.vanished, 0) << factor;
    for (size_t i = 0; i < scales.size(); ++i) {
      EXPECT_EQ(E4m3ToFloat(folded[i]), E4m3ToFloat(scales[i]) * factor);
    }
  }
}

TEST(FoldGlobalScale, CountsWhatChanges) {
  const std::vector<uint8_t> scales = {0x00, 0x01, 0x38, 0x39, 0x7E};  // 0, 2^-9, 1, 1.125, 448
  std::vector<uint8_t> folded(scales.size());
  FoldStats stats = FoldGlobalScale(scales, 2.0f, 1.0f, folded);
  EXPECT_EQ(folded, (std::vector<uint8_t>{0x00, 0x02, 0x40, 0x41, 0x7E}));
  EXPECT_EQ(stats.inexact, 1);
  EXPECT_EQ(stats.saturated, 1);
  EXPECT_EQ(stats.vanished, 0);

  stats = FoldGlobalScale(scales, 0.5f, 0.5f, folded);
  EXPECT_EQ(folded, (std::vector<uint8_t>{0x00, 0x00, 0x28, 0x29, 0x6E}));
  EXPECT_EQ(stats.inexact, 1);
  EXPECT_EQ(stats.vanished, 1);

  stats = FoldGlobalScale(scales, 1.03f, 1.0f, folded);  // rounds back, yet nothing is exact
  EXPECT_EQ(folded, (std::vector<uint8_t>{0x00, 0x01, 0x38, 0x39, 0x7E}));
  EXPECT_EQ(stats.inexact, 4);
  EXPECT_EQ(stats.saturated, 1);

  FoldStats total = stats;
  total.Merge(stats);
  EXPECT_EQ(total.scales, 10);
  EXPECT_EQ(total.inexact, 8);
  EXPECT_EQ(total.saturated, 2);
}

TEST(FoldGlobalScale, WritesNoNan) {
  std::vector<uint8_t> scales(0x7F);
  std::iota(scales.begin(), scales.end(), uint8_t{0});
  std::vector<uint8_t> folded(scales.size());
  for (const float factor : {0x1p-140f, 1e-3f, 1.1f, 1e30f, 3e38f}) {
    FoldGlobalScale(scales, factor, 2.0f, folded);
    for (const uint8_t code : folded) EXPECT_LE(code, 0x7E) << factor;
  }
}

}  // namespace
}  // namespace vernier::quantizers

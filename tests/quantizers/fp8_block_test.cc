#include "quantizers/fp8_block.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "quantizers/float_formats.h"

namespace vernier::quantizers {
namespace {

TEST(DequantizeFp8Rows, ScalesEveryColumnBlockEvenAPartialOne) {
  constexpr int64_t kColumns = 300;
  constexpr int64_t kBlockColumns = 128;
  std::vector<uint8_t> codes(2 * kColumns);
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint8_t>(i % 127);
  const std::vector<float> scales = {1.0f, 2.0f, 0.5f, 0x1p-20f, 4.0f, 3.0f};
  std::vector<float> values(codes.size(), -1.0f);
  DequantizeFp8Rows(codes, kColumns, kBlockColumns, scales, values);
  for (size_t i = 0; i < codes.size(); ++i) {
    const size_t row = i / kColumns;
    const size_t block = i % kColumns / kBlockColumns;
    ASSERT_EQ(values[i], E4m3ToFloat(codes[i]) * scales[row * 3 + block]) << i;
  }
}

TEST(DequantizeFp8Rows, NanCodesAndScalesShow) {
  std::vector<float> values(2);
  DequantizeFp8Rows(std::vector<uint8_t>{0x7F, 0x38}, 1, 128, std::vector<float>{1.0f, NAN},
                    values);
  EXPECT_TRUE(std::isnan(values[0]));
  EXPECT_TRUE(std::isnan(values[1]));
}

TEST(DequantizeFp8Rows, NoRowsAreNoWork) { DequantizeFp8Rows({}, 128, 128, {}, {}); }

}  // namespace
}  // namespace vernier::quantizers

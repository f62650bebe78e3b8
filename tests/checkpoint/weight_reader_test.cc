#include "checkpoint/weight_reader.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "checkpoint/weight_decoder.h"
#include "quantizers/float_formats.h"
#include "tests/checkpoint/test_layout.h"
#include "tests/support/expect_error.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::vernier::testing::MakeTensor;
using ::vernier::testing::TempDir;
using ::vernier::testing::TestTensor;

constexpr uint8_t kFp8One = 0x38;
constexpr uint8_t kScaleOne = 127;

class WeightReaderTest : public ::testing::Test {
 protected:
  // Dequantises rows of the module "x"; a negative count means all of them.
  std::vector<float> Read(const std::vector<TestTensor>& tensors, int64_t row_begin = 0,
                          int64_t row_count = -1, const Json& config = Json::object()) {
    const auto opened = ::vernier::testing::OpenTensors(directory_.path(), tensors, config);
    const Checkpoint& checkpoint = opened.checkpoint;
    const LogicalWeight& weight = opened.weight();
    if (row_count < 0) row_count = weight.rows();
    std::vector<float> values(static_cast<size_t>(row_count * ColumnsPerRow(weight)));
    WeightReader(checkpoint).ReadF32(weight, row_begin, row_count, values);
    std::vector<uint16_t> rounded(values.size());
    WeightReader(checkpoint).ReadBf16(weight, row_begin, row_count, rounded);
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(rounded[i], quantizers::FloatToBf16(values[i])) << i;
    }
    return values;
  }

 private:
  TempDir directory_;
};

TEST_F(WeightReaderTest, PlainFormats) {
  EXPECT_THAT(Read({MakeTensor<float>("x.weight", DType::kF32, {2, 2}, {1, -2, 0.1f, 4})}),
              ElementsAre(1, -2, 0.1f, 4));
  EXPECT_THAT(Read({MakeTensor<uint16_t>("x.weight", DType::kBF16, {3}, {0x3F80, 0xC000, 0x0001})}),
              ElementsAre(1, -2, 0x1p-133f));
  EXPECT_THAT(Read({MakeTensor<uint16_t>("x.weight", DType::kF16, {3}, {0x3C00, 0xC000, 0x0001})}),
              ElementsAre(1, -2, 0x1p-24f));
}

TEST_F(WeightReaderTest, RowsOfOtherRanks) {
  const std::vector<float> values = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  EXPECT_THAT(Read({MakeTensor("x.weight", DType::kF32, {3, 2, 2}, values)}, 1, 1),
              ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(Read({MakeTensor("x.weight", DType::kF32, {12}, values)}, 10, 2),
              ElementsAre(10, 11));
  EXPECT_THAT(Read({MakeTensor<float>("x.weight", DType::kF32, {}, {7})}), ElementsAre(7));
  EXPECT_TRUE(Read({MakeTensor<float>("x.weight", DType::kF32, {0, 5}, {})}).empty());
}

// 3 x 5 with blocks of 2 x 2: partial blocks at both edges. Value = code * scale of the block.
std::vector<TestTensor> SmallFp8(const TestTensor& scale) {
  // 1, 2, 3, 4, 5 in each row
  std::vector<uint8_t> codes;
  for (int row = 0; row < 3; ++row) {
    for (const uint8_t code : {0x38, 0x40, 0x44, 0x48, 0x4A}) codes.push_back(code);
  }
  return {MakeTensor("x.weight", DType::kF8E4M3, {3, 5}, codes), scale};
}
const Json kReaderBlocks = {{"quantization_config", {{"weight_block_size", {2, 2}}}}};

TEST_F(WeightReaderTest, Fp8WithE8m0AndPartialBlocks) {
  const auto scale = MakeTensor<uint8_t>("x.scale", DType::kF8E8M0, {2, 3},
                                         {kScaleOne, 128, 126, 129, kScaleOne, 120});
  EXPECT_THAT(Read(SmallFp8(scale), 0, -1, kReaderBlocks), ElementsAre(1, 2, 6, 8, 2.5f,  //
                                                                       1, 2, 6, 8, 2.5f,  //
                                                                       4, 8, 3, 4, 5 * 0x1p-7f));
  // A range that begins inside a block.
  EXPECT_THAT(Read(SmallFp8(scale), 1, 2, kReaderBlocks),
              ElementsAre(1, 2, 6, 8, 2.5f, 4, 8, 3, 4, 5 * 0x1p-7f));
  EXPECT_THAT(Read(SmallFp8(scale), 2, 1, kReaderBlocks), ElementsAre(4, 8, 3, 4, 5 * 0x1p-7f));
}

TEST_F(WeightReaderTest, Fp8WithF32Scales) {
  const auto scale =
      MakeTensor<float>("x.weight_scale_inv", DType::kF32, {2, 3}, {1, 0.3f, 2, 0.5f, 1, 1});
  EXPECT_THAT(Read(SmallFp8(scale), 1, 2, kReaderBlocks),
              ElementsAre(1, 2, 3 * 0.3f, 4 * 0.3f, 10, 0.5f, 1, 3, 4, 5));
}

TEST_F(WeightReaderTest, Mxfp4LowNibbleIsTheEvenColumn) {
  std::vector<uint8_t> packed(2 * 32, 0);
  packed[0] = 0x72;        // row 0: columns 0 and 1 are code 2 (1.0) and code 7 (6.0)
  packed[16] = 0x9F;       // row 0: columns 32 and 33 are -6 and -0.5
  packed[32 + 31] = 0x18;  // row 1: columns 62 and 63 are -0, read as 0, and 0.5
  const std::vector<uint8_t> scales = {kScaleOne, 128, 0, 125};
  const std::vector<float> values = Read({MakeTensor("x.weight", DType::kI8, {2, 32}, packed),
                                          MakeTensor("x.scale", DType::kF8E8M0, {2, 2}, scales)});
  ASSERT_EQ(values.size(), 128u);
  EXPECT_EQ(values[0], 1.0f);
  EXPECT_EQ(values[1], 6.0f);
  EXPECT_EQ(values[32], -12.0f);
  EXPECT_EQ(values[33], -1.0f);
  EXPECT_EQ(values[126], 0.0f);
  EXPECT_FALSE(std::signbit(values[126]));
  EXPECT_EQ(values[127], 0.125f);
}

TEST_F(WeightReaderTest, Nvfp4) {
  std::vector<uint8_t> packed(16, 0x22);  // all 1.0
  packed[8] = 0x37;                       // column 16: 6.0, column 17: 1.5
  const std::vector<float> values =
      Read({MakeTensor("x.weight", DType::kU8, {1, 16}, packed),
            MakeTensor<uint8_t>("x.weight_scale", DType::kF8E4M3, {1, 2}, {kFp8One, 0x44}),
            MakeTensor<float>("x.weight_scale_2", DType::kF32, {}, {0.25f})});
  EXPECT_EQ(values[0], 0.25f);
  EXPECT_EQ(values[15], 0.25f);
  EXPECT_EQ(values[16], 6.0f * 3.0f * 0.25f);
  EXPECT_EQ(values[17], 1.5f * 3.0f * 0.25f);
}

// More values than are decoded at once, so that chunk boundaries fall inside the range.
TEST_F(WeightReaderTest, LargeWeightsAreReadInChunks) {
  constexpr int64_t kRows = 1000;
  constexpr int64_t kColumns = 640;
  std::vector<uint8_t> codes(kRows * kColumns, kFp8One);
  std::vector<uint8_t> scales;
  for (int64_t i = 0; i < 8 * 5; ++i) scales.push_back(static_cast<uint8_t>(kScaleOne + i % 9));
  const auto values = Read({MakeTensor("x.weight", DType::kF8E4M3, {kRows, kColumns}, codes),
                            MakeTensor("x.scale", DType::kF8E8M0, {8, 5}, scales)},
                           3, kRows - 3);
  for (int64_t row = 3; row < kRows; ++row) {
    for (int64_t column = 0; column < kColumns; ++column) {
      const int64_t block = row / 128 * 5 + column / 128;
      ASSERT_EQ(values[static_cast<size_t>((row - 3) * kColumns + column)],
                std::ldexp(1.0f, static_cast<int>(block % 9)));
    }
  }
}

struct UnreadableValue {
  const char* name;
  std::vector<TestTensor> tensors;
  const char* tensor;
  const char* index;
};

template <typename T>
std::vector<T> With(std::vector<T> values, size_t index, T value) {
  values[index] = value;
  return values;
}

std::vector<UnreadableValue> UnreadableValues() {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<uint8_t> codes(8, kFp8One);
  const auto fp8 = MakeTensor("x.weight", DType::kF8E4M3, {2, 4}, codes);
  const auto e8m0 = MakeTensor<uint8_t>("x.scale", DType::kF8E8M0, {1, 1}, {kScaleOne});
  const auto packed = MakeTensor("x.weight", DType::kI8, {2, 16}, std::vector<uint8_t>(32, 0x77));
  const auto nvfp4 = MakeTensor("x.weight", DType::kU8, {2, 8}, std::vector<uint8_t>(16, 0x22));
  const auto e4m3 = MakeTensor<uint8_t>("x.weight_scale", DType::kF8E4M3, {2, 1}, {0x38, 0x38});
  const auto global = MakeTensor<float>("x.weight_scale_2", DType::kF32, {}, {1});
  return {
      {"F32Nan",
       {MakeTensor<float>("x.weight", DType::kF32, {3}, {1, 2, nan})},
       "x.weight",
       "element 2 is NaN"},
      {"F32Inf",
       {MakeTensor<float>("x.weight", DType::kF32, {3}, {1, -inf, 3})},
       "x.weight",
       "element 1 is infinite"},
      {"Bf16Nan",
       {MakeTensor<uint16_t>("x.weight", DType::kBF16, {2}, {0, 0x7FC0})},
       "x.weight",
       "element 1 is NaN"},
      {"F16Inf",
       {MakeTensor<uint16_t>("x.weight", DType::kF16, {2}, {0x7C00, 0})},
       "x.weight",
       "element 0 is infinite"},
      {"E4m3Nan",
       {MakeTensor("x.weight", DType::kF8E4M3, {2, 4}, With<uint8_t>(codes, 5, 0x7F)), e8m0},
       "x.weight",
       "element 5 is NaN"},
      {"E4m3NegativeNan",
       {MakeTensor("x.weight", DType::kF8E4M3, {2, 4}, With<uint8_t>(codes, 6, 0xFF)), e8m0},
       "x.weight",
       "element 6 is NaN"},
      {"Fp8ScaleNan",
       {fp8, MakeTensor<uint8_t>("x.scale", DType::kF8E8M0, {1, 1}, {0xFF})},
       "x.scale",
       "element 0 is NaN"},
      {"Fp8ScaleInf",
       {fp8, MakeTensor<float>("x.weight_scale_inv", DType::kF32, {1, 1}, {inf})},
       "x.weight_scale_inv",
       "element 0 is infinite"},
      {"Fp8Overflow",
       {MakeTensor("x.weight", DType::kF8E4M3, {2, 4}, With<uint8_t>(codes, 3, 0x7E)),
        MakeTensor<uint8_t>("x.scale", DType::kF8E8M0, {1, 1}, {254})},
       "x.weight",
       "element 3 is infinite"},
      {"Mxfp4ScaleNan",
       {packed, MakeTensor<uint8_t>("x.scale", DType::kF8E8M0, {2, 1}, {kScaleOne, 0xFF})},
       "x.scale",
       "element 1 is NaN"},
      {"Mxfp4Overflow",
       {packed, MakeTensor<uint8_t>("x.scale", DType::kF8E8M0, {2, 1}, {kScaleOne, 254})},
       "x.weight",
       "element 32 is infinite"},
      {"Nvfp4BlockScaleNan",
       {nvfp4, MakeTensor<uint8_t>("x.weight_scale", DType::kF8E4M3, {2, 1}, {0x38, 0x7F}), global},
       "x.weight_scale",
       "element 1 is NaN"},
      {"Nvfp4GlobalScaleNan",
       {nvfp4, e4m3, MakeTensor<float>("x.weight_scale_2", DType::kF32, {}, {nan})},
       "x.weight_scale_2",
       "element 0 is NaN"},
  };
}

class BadValueTest : public WeightReaderTest,
                     public ::testing::WithParamInterface<UnreadableValue> {};

TEST_P(BadValueTest, NamesTensorAndIndex) {
  EXPECT_VERNIER_ERROR(Read(GetParam().tensors), ErrorCode::kBadWeightValue,
                       std::string(GetParam().tensor) + ": " + GetParam().index);
}

INSTANTIATE_TEST_SUITE_P(All, BadValueTest, ::testing::ValuesIn(UnreadableValues()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_F(WeightReaderTest, RowsBeforeABadValueCanBeRead) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto tensor = MakeTensor<float>("x.weight", DType::kF32, {2, 2}, {1, 2, 3, nan});
  EXPECT_THAT(Read({tensor}, 0, 1), ElementsAre(1, 2));
  EXPECT_VERNIER_ERROR(Read({tensor}, 1, 1), ErrorCode::kBadWeightValue, "element 3");
}

TEST_F(WeightReaderTest, TablesAreNoWeights) {
  EXPECT_VERNIER_ERROR(Read({MakeTensor<int64_t>("x.weight", DType::kI64, {2}, {1, 2})}),
                       ErrorCode::kWrongDtype, "x.weight");
}

}  // namespace
}  // namespace vernier::checkpoint

#include "checkpoint/weight_decoder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "checkpoint/weight_reader.h"
#include "quantizers/float_formats.h"
#include "tests/checkpoint/test_layout.h"
#include "tests/support/expect_error.h"
#include "tests/support/read_tensor.h"
#include "tests/support/temp_dir.h"

namespace vernier::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::vernier::testing::MakeTensor;
using ::vernier::testing::OpenedTensors;
using ::vernier::testing::TempDir;
using ::vernier::testing::TestTensor;
using ::vernier::testing::Zeros;

constexpr float kNotANumber = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class WeightDecoderTest : public ::testing::Test {
 protected:
  OpenedTensors Open(const std::vector<TestTensor>& tensors) {
    return ::vernier::testing::OpenTensors(directory_.path(), tensors);
  }

  std::vector<float> ReadF32(const std::vector<TestTensor>& tensors) {
    const OpenedTensors opened = Open(tensors);
    return ::vernier::testing::ReadWeight(opened.checkpoint, opened.weight());
  }

  std::vector<uint16_t> ReadBf16(const std::vector<TestTensor>& tensors) {
    const OpenedTensors opened = Open(tensors);
    const LogicalWeight& weight = opened.weight();
    std::vector<uint16_t> values(static_cast<size_t>(weight.rows() * ColumnsPerRow(weight)));
    WeightReader(opened.checkpoint).ReadBf16(weight, 0, weight.rows(), values);
    return values;
  }

 private:
  TempDir directory_;
};

// E4M3 codes of 1 to 4.
const std::vector<uint8_t> kOneToFour = {0x38, 0x40, 0x44, 0x48};

TEST_F(WeightDecoderTest, Fp8PerTensorAndPerRow) {
  const TestTensor weight = MakeTensor("x.weight", DType::kF8E4M3, {2, 2}, kOneToFour);
  EXPECT_THAT(ReadF32({weight, MakeTensor<float>("x.weight_scale", DType::kF32, {}, {0.3f})}),
              ElementsAre(0.3f, 2 * 0.3f, 3 * 0.3f, 4 * 0.3f));
  EXPECT_THAT(ReadF32({weight, MakeTensor<float>("x.weight_scale", DType::kF32, {2}, {3, 0.1f})}),
              ElementsAre(3, 6, 3 * 0.1f, 4 * 0.1f));
  const auto half = MakeTensor<uint16_t>("x.weight_scale", DType::kF16, {2, 1}, {0x3C00, 0x3800});
  EXPECT_THAT(ReadF32({weight, half}), ElementsAre(1, 2, 1.5f, 2));
  const auto bf16 = MakeTensor<uint16_t>("x.weight_scale", DType::kBF16, {1}, {0x4000});
  EXPECT_THAT(ReadF32({weight, bf16}), ElementsAre(2, 4, 6, 8));
}

TEST_F(WeightDecoderTest, Mxfp8) {
  const std::vector<uint8_t> codes(2 * 64, 0x38);
  const std::vector<float> values =
      ReadF32({MakeTensor("x.weight", DType::kF8E4M3, {2, 64}, codes),
               MakeTensor<uint8_t>("x.weight_scale", DType::kU8, {2, 2}, {127, 128, 120, 0})});
  for (size_t i = 0; i < values.size(); ++i) {
    const float expected[] = {1.0f, 2.0f, 0x1p-7f, 0x1p-127f};
    ASSERT_EQ(values[i], expected[i / 32]) << i;
  }
}

// Eight values a word from the lowest bits up, 8 added to each.
TEST_F(WeightDecoderTest, Int4) {
  const auto packed =
      MakeTensor<uint32_t>("x.weight_packed", DType::kI32, {1, 2}, {0xFEDCBA98u, 0x76543210u});
  const auto shape = MakeTensor<int64_t>("x.weight_shape", DType::kI64, {2}, {1, 16});
  const auto scale = MakeTensor<float>("x.weight_scale", DType::kF32, {1, 2}, {2, 0.1f});
  EXPECT_THAT(ReadF32({packed, shape, scale}),
              ElementsAreArray({0.0f, 2.0f, 4.0f, 6.0f, 8.0f, 10.0f, 12.0f, 14.0f,  //
                                -8 * 0.1f, -7 * 0.1f, -6 * 0.1f, -5 * 0.1f, -4 * 0.1f, -3 * 0.1f,
                                -2 * 0.1f, -0.1f}));
}

TEST_F(WeightDecoderTest, Bf16SourcesComeOutAsTheyAre) {
  const std::vector<uint16_t> bits = {0x8000, 0x0001, 0x7F7F, 0x3F80};
  EXPECT_EQ(ReadBf16({MakeTensor("x.weight", DType::kBF16, {2, 2}, bits)}), bits);
}

std::vector<TestTensor> Nvfp4(const std::string& global_name, float global_scale) {
  const bool packed = global_name == "x.weight_global_scale";
  return {MakeTensor(packed ? "x.weight_packed" : "x.weight", DType::kU8, {1, 8},
                     std::vector<uint8_t>(8, 0x77)),
          MakeTensor<uint8_t>("x.weight_scale", DType::kF8E4M3, {1, 1}, {0x7E}),
          MakeTensor<float>(global_name, DType::kF32, {1}, {global_scale})};
}

TEST_F(WeightDecoderTest, GlobalScaleIsAMultiplier) {
  const auto read = [&](const std::string& name, float value) {
    const OpenedTensors opened = Open(Nvfp4(name, value));
    return ReadGlobalScale(opened.checkpoint, opened.weight());
  };
  EXPECT_EQ(read("x.weight_scale_2", 0.3f), 0.3f);
  EXPECT_EQ(read("x.weight_global_scale", 3.0f), 1.0f / 3.0f);
  const OpenedTensors plain = Open({Zeros("x.weight", DType::kBF16, {2, 2})});
  EXPECT_EQ(ReadGlobalScale(plain.checkpoint, plain.weight()), 1.0f);

  for (const char* name : {"x.weight_scale_2", "x.weight_global_scale"}) {
    for (const auto& [value, text] :
         {std::pair(0.0f, "zero"), {kNotANumber, "NaN"}, {kInfinity, "infinite"}}) {
      EXPECT_VERNIER_ERROR(read(name, value), ErrorCode::kBadWeightValue,
                           std::string(name) + ": element 0 is " + text);
    }
  }
  EXPECT_EQ(read("x.weight_scale_2", 1e-40f), 1e-40f);
  EXPECT_VERNIER_ERROR(read("x.weight_global_scale", 1e-40f), ErrorCode::kBadWeightValue,
                       "too small to divide by");
}

TEST_F(WeightDecoderTest, ExactInBf16ByFormatAndDtypes) {
  const auto exact = [&](const std::vector<TestTensor>& tensors) {
    const OpenedTensors opened = Open(tensors);
    return ExactInBf16(opened.checkpoint, opened.weight());
  };
  const TestTensor fp8 = Zeros("x.weight", DType::kF8E4M3, {4, 256});
  EXPECT_TRUE(exact({Zeros("x.weight", DType::kBF16, {4, 4})}));
  EXPECT_FALSE(exact({Zeros("x.weight", DType::kF32, {4, 4})}));
  EXPECT_FALSE(exact({Zeros("x.weight", DType::kF16, {4, 4})}));
  EXPECT_FALSE(exact({Zeros("x.weight", DType::kI64, {4, 4})}));
  EXPECT_TRUE(exact({fp8, Zeros("x.scale", DType::kF8E8M0, {1, 2})}));
  EXPECT_FALSE(exact({fp8, Zeros("x.scale", DType::kF32, {1, 2})}));
  EXPECT_FALSE(exact({fp8, Zeros("x.weight_scale", DType::kBF16, {1})}));
  EXPECT_FALSE(exact({fp8, Zeros("x.weight_scale", DType::kBF16, {4})}));
  EXPECT_TRUE(exact({fp8, Zeros("x.weight_scale", DType::kU8, {4, 8})}));
  EXPECT_FALSE(exact(Nvfp4("x.weight_scale_2", 1)));
}

// Every FP8 code under E8M0 scales, and every E2M1 code: BF16 loses nothing.
TEST_F(WeightDecoderTest, ExactFormatsAreExact) {
  std::vector<uint8_t> codes;
  for (int code = 0; code < 256; ++code) codes.push_back((code & 0x7F) == 0x7F ? 0 : code);
  const std::vector<uint8_t> scales = {3, 90, 127, 128, 150, 200, 230, 244};
  const std::vector<std::vector<TestTensor>> checkpoints = {
      {MakeTensor("x.weight", DType::kF8E4M3, {1, 256}, codes),
       MakeTensor("x.weight_scale", DType::kU8, {1, 8}, scales)},
      {MakeTensor("x.weight", DType::kU8, {1, 128},
                  std::vector<uint8_t>(codes.begin(), codes.begin() + 128)),
       MakeTensor("x.weight_scale", DType::kU8, {1, 8}, scales)}};
  for (const auto& tensors : checkpoints) {
    const std::vector<float> values = ReadF32(tensors);
    const std::vector<uint16_t> bits = ReadBf16(tensors);
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(quantizers::Bf16ToFloat(bits[i]), values[i]) << i;
    }
  }
}

struct BadValue {
  const char* name;
  std::vector<TestTensor> tensors;
  const char* message;
};

std::vector<BadValue> BadValues() {
  const TestTensor fp8 = MakeTensor("x.weight", DType::kF8E4M3, {2, 2}, kOneToFour);
  const auto int4 = [](float scale) {
    return std::vector<TestTensor>{
        MakeTensor<uint32_t>("x.weight_packed", DType::kI32, {1, 2}, {0x88888888u, 0x08888888u}),
        MakeTensor<int64_t>("x.weight_shape", DType::kI64, {2}, {1, 16}),
        MakeTensor<float>("x.weight_scale", DType::kF32, {1, 2}, {1, scale})};
  };
  return {
      {"TensorScaleNan",
       {fp8, MakeTensor<float>("x.weight_scale", DType::kF32, {}, {kNotANumber})},
       "x.weight_scale: element 0 is NaN"},
      {"RowScaleInf",
       {fp8, MakeTensor<uint16_t>("x.weight_scale", DType::kBF16, {2, 1}, {0x3F80, 0x7F80})},
       "x.weight_scale: element 1 is infinite"},
      {"RowOverflow",
       {fp8, MakeTensor<float>("x.weight_scale", DType::kF32, {2, 1}, {1, 0x1p126f})},
       "x.weight: element 3 is infinite"},
      {"Mxfp8ScaleNan",
       {Zeros("x.weight", DType::kF8E4M3, {1, 64}),
        MakeTensor<uint8_t>("x.weight_scale", DType::kU8, {1, 2}, {127, 0xFF})},
       "x.weight_scale: element 1 is NaN"},
      {"Int4ScaleNan", int4(kNotANumber), "x.weight_scale: element 1 is NaN"},
      {"Int4Overflow", int4(0x1p126f), "x.weight_packed: element 15 is infinite"},
      {"Nvfp4Overflow", Nvfp4("x.weight_scale_2", 0x1p120f), "x.weight: element 0 is infinite"},
  };
}

class BadFormatValueTest : public WeightDecoderTest,
                           public ::testing::WithParamInterface<BadValue> {};

TEST_P(BadFormatValueTest, NamesTensorAndIndexInBothTypes) {
  EXPECT_VERNIER_ERROR(ReadF32(GetParam().tensors), ErrorCode::kBadWeightValue, GetParam().message);
  EXPECT_VERNIER_ERROR(ReadBf16(GetParam().tensors), ErrorCode::kBadWeightValue,
                       GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(All, BadFormatValueTest, ::testing::ValuesIn(BadValues()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_F(WeightDecoderTest, Bf16HasLessRoomThanF32) {
  const auto tensor = MakeTensor<float>("x.weight", DType::kF32, {2}, {1, 0x1.FFFFFEp127f});
  EXPECT_THAT(ReadF32({tensor}), ElementsAre(1, 0x1.FFFFFEp127f));
  EXPECT_VERNIER_ERROR(ReadBf16({tensor}), ErrorCode::kBadWeightValue,
                       "element 1 is infinite, or too large for BF16");
}

TEST_F(WeightDecoderTest, TablesAreNoWeights) {
  const OpenedTensors opened = Open({Zeros("x.weight", DType::kI64, {2, 1})});
  const std::vector<std::byte> bytes(16);
  std::vector<float> values(2);
  EXPECT_VERNIER_ERROR(
      DecodeRows(opened.checkpoint, opened.weight(), {0, 2, bytes, {}, 1}, std::span(values)),
      ErrorCode::kWrongDtype, "I64");
}

}  // namespace
}  // namespace vernier::checkpoint

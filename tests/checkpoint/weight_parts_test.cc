// How the formats of ModelOpt and compressed-tensors are recognised, and what is refused.
#include "checkpoint/weight_parts.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "checkpoint/model_layout.h"
#include "tests/checkpoint/test_layout.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier::checkpoint {
namespace {

using ::vernier::testing::LinearFamily;
using ::vernier::testing::MakeTensor;
using ::vernier::testing::Replace;
using ::vernier::testing::TempDir;
using ::vernier::testing::TestTensor;
using ::vernier::testing::With;
using ::vernier::testing::Without;
using ::vernier::testing::Zeros;

class WeightPartsTest : public ::testing::Test {
 protected:
  ModelLayout Build(const std::vector<TestTensor>& tensors, const Json& config = Json::object(),
                    std::vector<std::string>* problems = nullptr) {
    ::vernier::testing::WriteCheckpoint(directory_.path(), config, tensors, 1);
    return BuildModelLayout(Checkpoint::Open(directory_.path()), LinearFamily(), problems);
  }
  LogicalWeight BuildOne(const std::vector<TestTensor>& tensors,
                         const Json& config = Json::object()) {
    const ModelLayout layout = Build(tensors, config);
    EXPECT_EQ(layout.weights.size(), 1u);
    EXPECT_EQ(layout.weights[0].name, "x.weight");
    EXPECT_EQ(layout.weights[0].module, "x");
    EXPECT_TRUE(layout.weights[0].linear);
    EXPECT_EQ(layout.weights[0].Parts().size(), tensors.size());
    EXPECT_EQ(layout.FindName("x.weight"), &layout.weights[0]);
    return layout.weights[0];
  }

 private:
  TempDir directory_;
};

TestTensor Fp8(int64_t rows, int64_t columns) {
  return Zeros("x.weight", DType::kF8E4M3, {rows, columns});
}

TEST_F(WeightPartsTest, Fp8PerTensor) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{}, std::vector<int64_t>{1}}) {
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
      const LogicalWeight weight = BuildOne({Fp8(200, 300), Zeros("x.weight_scale", dtype, shape),
                                             Zeros("x.input_scale", dtype, shape)});
      EXPECT_EQ(weight.format, formats::kFp8Tensor);
      EXPECT_EQ(weight.block_rows, 200);
      EXPECT_EQ(weight.block_columns, 300);
      EXPECT_NE(weight.input_scale, Checkpoint::kNotFound);
      EXPECT_FALSE(weight.global_scale_is_divisor);
    }
  }
}

TEST_F(WeightPartsTest, Fp8PerChannel) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{200}, {200, 1}}) {
    const LogicalWeight weight =
        BuildOne({Fp8(200, 300), Zeros("x.weight_scale", DType::kF32, shape)});
    EXPECT_EQ(weight.format, formats::kFp8Channel);
    EXPECT_EQ(weight.block_rows, 1);
    EXPECT_EQ(weight.block_columns, 300);
  }
}

TEST_F(WeightPartsTest, Fp8BlocksOfTwoAndOfFourDimensions) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{2, 3}, {2, 1, 3, 1}}) {
    const LogicalWeight weight =
        BuildOne({Fp8(200, 300), Zeros("x.weight_scale", DType::kBF16, shape)});
    EXPECT_EQ(weight.format, formats::kFp8Block);
    EXPECT_EQ(weight.block_rows, 128);
    EXPECT_EQ(weight.block_columns, 128);
  }
}

TEST_F(WeightPartsTest, Fp8BlockStructureOfCompressedTensors) {
  const Json weights = {{"block_structure", {64, 32}}};
  const Json config = {{"quantization_config",
                        {{"config_groups",
                          {{"group_0", {{"weights", {{"block_structure", nullptr}}}}},
                           {"group_1", {{"weights", weights}}}}}}}};
  const LogicalWeight weight =
      BuildOne({Fp8(65, 33), Zeros("x.weight_scale", DType::kBF16, {2, 2})}, config);
  EXPECT_EQ(weight.block_rows, 64);
  EXPECT_EQ(weight.block_columns, 32);
  Json bad = config;
  bad["quantization_config"]["config_groups"]["group_1"]["weights"]["block_structure"] = "64x32";
  EXPECT_VERNIER_ERROR(Build({}, bad), ErrorCode::kBadConfig, "group_1.block_structure");
}

TEST_F(WeightPartsTest, Mxfp8) {
  for (const DType dtype : {DType::kU8, DType::kF8E8M0}) {
    const LogicalWeight weight = BuildOne({Fp8(4, 256), Zeros("x.weight_scale", dtype, {4, 8})});
    EXPECT_EQ(weight.format, formats::kMxfp8);
    EXPECT_EQ(weight.block_rows, 1);
    EXPECT_EQ(weight.block_columns, 32);
  }
}

TEST_F(WeightPartsTest, Mxfp4WithBytesAsScales) {
  for (const char* name : {"x.weight", "x.weight_packed"}) {
    const LogicalWeight weight =
        BuildOne({Zeros(name, DType::kU8, {3, 32}), Zeros("x.weight_scale", DType::kU8, {3, 2})});
    EXPECT_EQ(weight.format, formats::kMxfp4);
    EXPECT_EQ(weight.shape, (std::vector<int64_t>{3, 64}));
  }
}

// F4's shape counts values: read as bytes, the weight would be twice as long as its tensor.
TEST_F(WeightPartsTest, Mxfp4InATypeOfItsOwnIsRefused) {
  const std::vector<TestTensor> tensors = {Zeros("x.weight", DType::kF4, {3, 64}),
                                           Zeros("x.weight_scale", DType::kF8E8M0, {3, 4})};
  EXPECT_VERNIER_ERROR(Build(tensors), ErrorCode::kWrongDtype, "F4");
}

std::vector<TestTensor> PackedNvfp4() {
  return {Zeros("x.weight_packed", DType::kU8, {3, 16}),
          Zeros("x.weight_scale", DType::kF8E4M3, {3, 2}),
          Zeros("x.weight_global_scale", DType::kF32, {1}),
          Zeros("x.input_global_scale", DType::kF32, {1})};
}

TEST_F(WeightPartsTest, PackedNvfp4HasDivisors) {
  const LogicalWeight weight = BuildOne(PackedNvfp4());
  EXPECT_EQ(weight.format, formats::kNvfp4);
  EXPECT_EQ(weight.shape, (std::vector<int64_t>{3, 32}));
  EXPECT_TRUE(weight.global_scale_is_divisor);
  EXPECT_EQ(BuildOne(Without(PackedNvfp4(), 3)).input_scale, Checkpoint::kNotFound);
}

std::vector<TestTensor> Int4() {
  return {Zeros("x.weight_packed", DType::kI32, {3, 8}),
          Zeros("x.weight_scale", DType::kBF16, {3, 2}),
          MakeTensor<int64_t>("x.weight_shape", DType::kI64, {2}, {3, 64})};
}

TEST_F(WeightPartsTest, Int4) {
  const LogicalWeight weight = BuildOne(Int4());
  EXPECT_EQ(weight.format, formats::kInt4);
  EXPECT_EQ(weight.shape, (std::vector<int64_t>{3, 64}));
  EXPECT_EQ(weight.block_columns, 32);
}

TEST_F(WeightPartsTest, KvCacheScalesStandAlone) {
  const ModelLayout layout = Build(
      {Fp8(4, 32), Zeros("x.weight_scale", DType::kF32, {}), Zeros("x.k_scale", DType::kF32, {})});
  ASSERT_EQ(layout.weights.size(), 2u);
  EXPECT_EQ(layout.FindModule("x.k_scale")->format, formats::kPlain);
  EXPECT_FALSE(layout.FindModule("x.k_scale")->linear);
}

struct Refused {
  const char* name;
  std::vector<TestTensor> tensors;
  ErrorCode code;
  const char* message_part;
};

std::vector<Refused> RefusedWeights() {
  const TestTensor fp8 = Fp8(4, 256);
  const std::vector<TestTensor> tensor_fp8 = {fp8, Zeros("x.weight_scale", DType::kF32, {})};
  return {
      {"TwoMains", With(PackedNvfp4(), Zeros("x.weight", DType::kBF16, {3, 32})),
       ErrorCode::kAmbiguousScale, "x.weight_packed"},
      {"PackedDtype", Replace(PackedNvfp4(), 0, Zeros("x.weight_packed", DType::kBF16, {3, 16})),
       ErrorCode::kWrongDtype, "BF16"},
      {"PackedFp8", Replace(PackedNvfp4(), 0, Zeros("x.weight_packed", DType::kF8E4M3, {3, 16})),
       ErrorCode::kWrongDtype, "F8_E4M3"},
      {"PackedWithoutScale",
       {Zeros("x.weight_packed", DType::kU8, {3, 16})},
       ErrorCode::kMissingScale,
       "x.weight_scale"},
      {"PackedWithoutGlobalScale", Without(PackedNvfp4(), 2), ErrorCode::kMissingScale,
       "x.weight_global_scale"},
      {"PackedGlobalScaleDtype",
       Replace(PackedNvfp4(), 2, Zeros("x.weight_global_scale", DType::kBF16, {1})),
       ErrorCode::kWrongDtype, "x.weight_global_scale"},
      {"PackedGlobalScaleShape",
       Replace(PackedNvfp4(), 2, Zeros("x.weight_global_scale", DType::kF32, {3})),
       ErrorCode::kWrongShape, "x.weight_global_scale"},
      {"PackedInputScaleDtype",
       Replace(PackedNvfp4(), 3, Zeros("x.input_global_scale", DType::kF16, {1})),
       ErrorCode::kWrongDtype, "x.input_global_scale"},
      {"Fp8InputScaleShape", With(tensor_fp8, Zeros("x.input_scale", DType::kF32, {4})),
       ErrorCode::kWrongShape, "x.input_scale"},
      {"Fp8InputScaleDtype", With(tensor_fp8, Zeros("x.input_scale", DType::kU8, {1})),
       ErrorCode::kWrongDtype, "x.input_scale"},
      {"Fp8ChannelCount",
       {fp8, Zeros("x.weight_scale", DType::kF32, {5, 1})},
       ErrorCode::kWrongShape,
       "[5, 1]"},
      {"Fp8BlocksOfFourDimensions",
       {fp8, Zeros("x.weight_scale", DType::kF32, {1, 2, 1, 1})},
       ErrorCode::kWrongShape,
       "[1, 2, 1, 1]"},
      {"Fp8E8m0PerTensor",
       {fp8, Zeros("x.weight_scale", DType::kF8E8M0, {1})},
       ErrorCode::kWrongShape,
       "[1, 2]"},
      {"Mxfp8ScaleShape",
       {fp8, Zeros("x.weight_scale", DType::kU8, {4, 7})},
       ErrorCode::kWrongShape,
       "[4, 8]"},
      {"Mxfp8Columns",
       {Fp8(4, 40), Zeros("x.weight_scale", DType::kU8, {4, 2})},
       ErrorCode::kWrongShape,
       "40 columns"},
      {"Int4WithoutScale", Without(Int4(), 1), ErrorCode::kMissingScale, "x.weight_scale"},
      {"Int4WithoutShape", Without(Int4(), 2), ErrorCode::kMissingTensor, "x.weight_shape"},
      {"Int4ScaleDtype", Replace(Int4(), 1, Zeros("x.weight_scale", DType::kF8E4M3, {3, 2})),
       ErrorCode::kWrongDtype, "x.weight_scale"},
      {"Int4Groups", Replace(Int4(), 1, Zeros("x.weight_scale", DType::kBF16, {3, 3})),
       ErrorCode::kWrongShape, "[3, 3]"},
      {"Int4GroupsOfFour", Replace(Int4(), 1, Zeros("x.weight_scale", DType::kBF16, {3, 16})),
       ErrorCode::kWrongShape, "[3, 16]"},
      {"Int4NoGroups", Replace(Int4(), 1, Zeros("x.weight_scale", DType::kBF16, {3, 0})),
       ErrorCode::kWrongShape, "[3, 0]"},
      {"Int4ScaleRank", Replace(Int4(), 1, Zeros("x.weight_scale", DType::kBF16, {1})),
       ErrorCode::kWrongShape, "[1]"},
      {"Int4Matrix", Replace(Int4(), 0, Zeros("x.weight_packed", DType::kI32, {24})),
       ErrorCode::kWrongShape, "two dimensions"},
      {"Int4ShapeDtype", Replace(Int4(), 2, Zeros("x.weight_shape", DType::kI32, {2})),
       ErrorCode::kWrongDtype, "x.weight_shape"},
      {"Int4ShapeRank", Replace(Int4(), 2, Zeros("x.weight_shape", DType::kI64, {3})),
       ErrorCode::kWrongShape, "x.weight_shape"},
      {"Int4PartialWord",
       Replace(Int4(), 2, MakeTensor<int64_t>("x.weight_shape", DType::kI64, {2}, {3, 60})),
       ErrorCode::kWrongShape, "[3, 60]"},
      {"Int4Rows",
       Replace(Int4(), 2, MakeTensor<int64_t>("x.weight_shape", DType::kI64, {2}, {4, 64})),
       ErrorCode::kWrongShape, "[4, 64]"},
  };
}

// Mistral's FP8: one inverse scale, and one of the inputs, both without dimensions.
TEST_F(WeightPartsTest, StaticFp8OfMistral) {
  const LogicalWeight weight =
      BuildOne({Fp8(200, 300), Zeros("x.weight_scale_inv", DType::kBF16, {}),
                Zeros("x.activation_scale", DType::kBF16, {})});
  EXPECT_EQ(weight.format, formats::kFp8Tensor);
  EXPECT_NE(weight.input_scale, Checkpoint::kNotFound);
}

TEST_F(WeightPartsTest, BlocksOf32AreNvfp4WhereTheConfigurationSaysSo) {
  const std::vector<TestTensor> tensors = {
      Zeros("x.weight", DType::kU8, {64, 64}), Zeros("x.weight_scale", DType::kF8E4M3, {64, 4}),
      Zeros("x.weight_scale_2", DType::kF32, {}), Zeros("x.input_scale", DType::kF32, {})};
  const Json wide = {{"quantization_config", {{"quant_algo", "W4A8_NVFP4_FP8"}}}};
  const LogicalWeight weight = BuildOne(tensors, wide);
  EXPECT_EQ(weight.format, formats::kNvfp4Wide);
  EXPECT_EQ(weight.block_columns, 32);
  EXPECT_VERNIER_ERROR(Build(tensors), ErrorCode::kWrongShape, "x.weight_scale");
}

// Formats of which the values are not computed keep their name and all their tensors.
TEST_F(WeightPartsTest, NamesFormatsThatItDoesNotRead) {
  struct Foreign {
    std::vector<testing::TestTensor> tensors;
    Format format;
  };
  const std::vector<testing::TestTensor> fp8 = {Zeros("x.weight", DType::kF8E4M3, {128, 256}),
                                                Zeros("x.weight_scale", DType::kF32, {1})};
  const Foreign cases[] = {
      {With(Int4(), Zeros("x.weight_g_idx", DType::kI32, {64})), formats::kOtherQuantised},
      {With(fp8, Zeros("x.pre_quant_scale", DType::kBF16, {256})), formats::kOtherQuantised},
      {Replace(Int4(), 2, MakeTensor<int64_t>("x.weight_shape", DType::kI64, {2}, {3, 32})),
       formats::kInt8},
      {{Zeros("x.qweight", DType::kI32, {16, 64}), Zeros("x.qzeros", DType::kI32, {1, 8}),
        Zeros("x.scales", DType::kF16, {1, 64}), Zeros("x.g_idx", DType::kI32, {128})},
       formats::kGptq},
  };
  for (const Foreign& foreign : cases) {
    const ModelLayout layout = Build(foreign.tensors);
    const LogicalWeight* weight = layout.FindModule("x");
    ASSERT_NE(weight, nullptr);
    EXPECT_EQ(FormatName(weight->format), FormatName(foreign.format));
    EXPECT_EQ(weight->Parts().size(), foreign.tensors.size());
  }
}

class RefusedWeightTest : public WeightPartsTest, public ::testing::WithParamInterface<Refused> {};

TEST_P(RefusedWeightTest, IsAnErrorOrAProblem) {
  const Refused& refused = GetParam();
  EXPECT_VERNIER_ERROR(Build(refused.tensors), refused.code, refused.message_part);

  std::vector<std::string> problems;
  const ModelLayout layout = Build(refused.tensors, Json::object(), &problems);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_THAT(problems[0], ::testing::HasSubstr(refused.message_part));
  const std::string& main = refused.tensors[0].spec.name;
  ASSERT_NE(layout.FindName(main), nullptr);
  EXPECT_EQ(layout.FindName(main)->format, formats::kOpaque);
  size_t parts = 0;
  for (const LogicalWeight& weight : layout.weights) parts += weight.Parts().size();
  EXPECT_EQ(parts, refused.tensors.size());
}

INSTANTIATE_TEST_SUITE_P(All, RefusedWeightTest, ::testing::ValuesIn(RefusedWeights()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace vernier::checkpoint

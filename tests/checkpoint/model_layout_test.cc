#include "checkpoint/model_layout.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/checkpoint/test_layout.h"
#include "tests/support/expect_error.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::checkpoint {
namespace {

using ::vernier::testing::LinearFamily;
using ::vernier::testing::Replace;
using ::vernier::testing::TempDir;
using ::vernier::testing::TestTensor;
using ::vernier::testing::Without;
using ::vernier::testing::Zeros;

class ModelLayoutTest : public ::testing::Test {
 protected:
  Checkpoint Open(const std::vector<TestTensor>& tensors, const Json& config = Json::object()) {
    ::vernier::testing::WriteCheckpoint(directory_.path(), config, tensors, 1);
    return Checkpoint::Open(directory_.path());
  }
  ModelLayout Build(const std::vector<TestTensor>& tensors, const Json& config = Json::object()) {
    return BuildModelLayout(Open(tensors, config), LinearFamily());
  }

 private:
  TempDir directory_;
};

TEST_F(ModelLayoutTest, Fp8BlocksMayBePartialAtTheEdges) {
  const ModelLayout layout = Build(
      {Zeros("x.weight", DType::kF8E4M3, {130, 257}), Zeros("x.scale", DType::kF8E8M0, {2, 3})});
  ASSERT_EQ(layout.weights.size(), 1u);
  const LogicalWeight& weight = layout.weights[0];
  EXPECT_EQ(weight.format, formats::kFp8Block);
  EXPECT_EQ(weight.block_rows, 128);
  EXPECT_EQ(weight.block_columns, 128);
  EXPECT_EQ(weight.module, "x");
  EXPECT_TRUE(weight.linear);
  EXPECT_EQ(weight.Parts().size(), 2u);
}

TEST_F(ModelLayoutTest, Fp8BlockSizeComesFromTheConfig) {
  const Json config = {{"quantization_config", {{"weight_block_size", {32, 32}}}}};
  const ModelLayout layout = Build({Zeros("x.weight", DType::kF8E4M3, {33, 64}),
                                    Zeros("x.weight_scale_inv", DType::kF32, {2, 2})},
                                   config);
  EXPECT_EQ(layout.weights[0].block_rows, 32);
  const Json bad = {{"quantization_config", {{"weight_block_size", {32, 0}}}}};
  EXPECT_VERNIER_ERROR(Build({}, bad), ErrorCode::kBadConfig, "weight_block_size");
}

TEST_F(ModelLayoutTest, Mxfp4FromI8OrU8) {
  for (const DType dtype : {DType::kI8, DType::kU8}) {
    for (const char* scale : {"x.scale", "x.weight_scale"}) {
      const ModelLayout layout =
          Build({Zeros("x.weight", dtype, {3, 32}), Zeros(scale, DType::kF8E8M0, {3, 2})});
      ASSERT_EQ(layout.weights.size(), 1u);
      EXPECT_EQ(layout.weights[0].format, formats::kMxfp4);
      EXPECT_EQ(layout.weights[0].shape, (std::vector<int64_t>{3, 64}));
      EXPECT_EQ(layout.weights[0].block_columns, 32);
    }
  }
}

std::vector<TestTensor> Nvfp4() {
  return {Zeros("x.weight", DType::kU8, {3, 16}), Zeros("x.weight_scale", DType::kF8E4M3, {3, 2}),
          Zeros("x.weight_scale_2", DType::kF32, {}), Zeros("x.input_scale", DType::kF32, {1})};
}

TEST_F(ModelLayoutTest, Nvfp4WithAndWithoutInputScale) {
  std::vector<TestTensor> tensors = Nvfp4();
  ModelLayout layout = Build(tensors);
  ASSERT_EQ(layout.weights.size(), 1u);
  EXPECT_EQ(layout.weights[0].format, formats::kNvfp4);
  EXPECT_EQ(layout.weights[0].Parts().size(), 4u);
  EXPECT_EQ(layout.weights[0].columns(), 32);
  tensors.pop_back();
  EXPECT_EQ(Build(tensors).weights[0].input_scale, Checkpoint::kNotFound);
}

TEST_F(ModelLayoutTest, UnquantisedAndUnknownDtypes) {
  TestTensor opaque = Zeros("o.weight", DType::kU8, {6});
  opaque.spec.dtype = DType::kOpaque;
  opaque.spec.opaque_dtype_name = "F6";
  opaque.spec.opaque_bytes = 6;
  const ModelLayout layout =
      Build({Zeros("a.weight", DType::kBF16, {2, 2}), Zeros("b", DType::kF16, {2}),
             Zeros("c.ids", DType::kI64, {2}), Zeros("d.weight", DType::kF64, {1, 1}), opaque});
  EXPECT_EQ(layout.FindModule("a")->format, formats::kPlain);
  EXPECT_TRUE(layout.FindModule("a")->linear);
  EXPECT_EQ(layout.FindModule("b")->format, formats::kPlain);
  EXPECT_FALSE(layout.FindModule("b")->linear);
  EXPECT_EQ(layout.FindModule("c.ids")->format, formats::kInteger);
  EXPECT_EQ(layout.FindModule("d")->format, formats::kOpaque);
  EXPECT_EQ(layout.FindModule("o")->format, formats::kOpaque);
  EXPECT_EQ(layout.FindModule("nothing"), nullptr);
  EXPECT_EQ(layout.FindName("a.weight"), layout.FindModule("a"));
  EXPECT_EQ(layout.FindName("a"), nullptr);
}

TEST_F(ModelLayoutTest, ScalesThatBelongToNoWeightStandAlone) {
  const ModelLayout layout =
      Build({Zeros("lost.scale", DType::kF8E8M0, {1, 1}), Zeros("a.weight", DType::kBF16, {2, 2}),
             Zeros("a.input_scale", DType::kF32, {})});
  ASSERT_EQ(layout.weights.size(), 3u);
  for (const char* name : {"lost.scale", "a.input_scale"}) {
    EXPECT_EQ(layout.FindModule(name)->role, Role::kOther);
    EXPECT_EQ(layout.FindModule(name)->format, formats::kOpaque);
  }
}

struct BadWeight {
  const char* name;
  std::vector<TestTensor> tensors;
  ErrorCode code;
  const char* message_part;
};

std::vector<BadWeight> BadWeights() {
  const TestTensor fp8 = Zeros("x.weight", DType::kF8E4M3, {4, 64});
  const TestTensor fp8_scale = Zeros("x.scale", DType::kF8E8M0, {1, 1});
  const TestTensor packed = Zeros("x.weight", DType::kI8, {4, 32});
  const TestTensor packed_scale = Zeros("x.scale", DType::kF8E8M0, {4, 2});
  return {
      {"Fp8WithoutScale", {fp8}, ErrorCode::kMissingScale, "x.weight"},
      {"Fp8ScaleDtype",
       {fp8, Zeros("x.scale", DType::kI32, {1, 1})},
       ErrorCode::kWrongDtype,
       "I32"},
      {"Fp8ScaleShape",
       {fp8, Zeros("x.scale", DType::kF8E8M0, {1, 2})},
       ErrorCode::kWrongShape,
       "[1, 2]"},
      {"Fp8ScaleRank", {fp8, Zeros("x.scale", DType::kF32, {2})}, ErrorCode::kWrongShape, "[1, 1]"},
      {"Fp8NotAMatrix",
       {Zeros("x.weight", DType::kF8E4M3, {64}), fp8_scale},
       ErrorCode::kWrongShape,
       "[64]"},
      {"Fp8TwoScales",
       {fp8, fp8_scale, Zeros("x.weight_scale_inv", DType::kF32, {1, 1})},
       ErrorCode::kAmbiguousScale,
       "x.weight_scale_inv"},
      {"PackedWithoutScale", {packed}, ErrorCode::kMissingScale, "x.weight"},
      {"Mxfp4ScaleDtype",
       {packed, Zeros("x.scale", DType::kF32, {4, 2})},
       ErrorCode::kWrongDtype,
       "F32"},
      {"Mxfp4ScaleShape",
       {packed, Zeros("x.scale", DType::kF8E8M0, {4, 4})},
       ErrorCode::kWrongShape,
       "[4, 2]"},
      {"Mxfp4Columns",
       {Zeros("x.weight", DType::kI8, {4, 24}), packed_scale},
       ErrorCode::kWrongShape,
       "48"},
      {"Mxfp4NotAMatrix",
       {Zeros("x.weight", DType::kI8, {4, 4, 32}), packed_scale},
       ErrorCode::kWrongShape,
       "two dimensions"},
      {"Nvfp4WithoutGlobalScale", Without(Nvfp4(), 2), ErrorCode::kMissingScale, "weight_scale_2"},
      {"Nvfp4WithoutBlockScale", Without(Nvfp4(), 1), ErrorCode::kMissingScale, "x.weight_scale"},
      {"Nvfp4FromI8", Replace(Nvfp4(), 0, Zeros("x.weight", DType::kI8, {3, 16})),
       ErrorCode::kWrongDtype, "I8"},
      {"Nvfp4BlockScaleDtype", Replace(Nvfp4(), 1, Zeros("x.weight_scale", DType::kU8, {3, 2})),
       ErrorCode::kWrongDtype, "U8"},
      {"Nvfp4BlockScaleShape", Replace(Nvfp4(), 1, Zeros("x.weight_scale", DType::kF8E4M3, {3, 1})),
       ErrorCode::kWrongShape, "[3, 1]"},
      {"Nvfp4GlobalScaleShape", Replace(Nvfp4(), 2, Zeros("x.weight_scale_2", DType::kF32, {2})),
       ErrorCode::kWrongShape, "weight_scale_2"},
      {"Nvfp4GlobalScaleDtype", Replace(Nvfp4(), 2, Zeros("x.weight_scale_2", DType::kBF16, {})),
       ErrorCode::kWrongDtype, "weight_scale_2"},
      {"Nvfp4InputScaleDtype", Replace(Nvfp4(), 3, Zeros("x.input_scale", DType::kF16, {})),
       ErrorCode::kWrongDtype, "input_scale"},
  };
}

class BadWeightTest : public ModelLayoutTest, public ::testing::WithParamInterface<BadWeight> {};

TEST_P(BadWeightTest, IsRefusedOrReported) {
  const BadWeight& bad = GetParam();
  EXPECT_VERNIER_ERROR(Build(bad.tensors), bad.code, bad.message_part);

  std::vector<std::string> problems;
  const Checkpoint checkpoint = Open(bad.tensors);
  const ModelLayout layout = BuildModelLayout(checkpoint, LinearFamily(), &problems);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_THAT(problems[0], ::testing::HasSubstr(bad.message_part));
  EXPECT_EQ(layout.FindName("x.weight")->format, formats::kOpaque);
  size_t parts = 0;
  for (const LogicalWeight& weight : layout.weights) parts += weight.Parts().size();
  EXPECT_EQ(parts, checkpoint.tensors().size());
}

INSTANTIATE_TEST_SUITE_P(All, BadWeightTest, ::testing::ValuesIn(BadWeights()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Role, NamesAreReadBack) {
  for (int i = 0; i < kRoleCount; ++i) {
    Role role = Role::kOther;
    EXPECT_TRUE(RoleFromName(RoleName(static_cast<Role>(i)), &role));
    EXPECT_EQ(static_cast<int>(role), i);
  }
  Role role = Role::kOther;
  EXPECT_FALSE(RoleFromName("routed_experts", &role));
}

}  // namespace
}  // namespace vernier::checkpoint

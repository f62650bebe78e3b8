// Names, dtypes and shapes of every format's tensors in both dialects.
#include "dialects/target_parts.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "recipes/plan.h"
#include "tests/recipes/test_recipes.h"
#include "tests/support/expect_error.h"
#include "tests/support/hf_model.h"
#include "tests/support/temp_dir.h"

namespace vernier::recipes {
namespace {

using dialects::CheckTarget;
using dialects::Fp8BlocksOf;
using dialects::TargetPart;
using dialects::TargetParts;
using ::vernier::testing::HfFormat;
using ::vernier::testing::MakeHfModel;
using ::vernier::testing::OpenTinyModel;
using ::vernier::testing::TempDir;

std::string_view PartName(OutputPart part) {
  switch (part) {
    case OutputPart::kSourceBytes:
      return "source";
    case OutputPart::kCodes:
      return "codes";
    case OutputPart::kMoreCodes:
      return "more codes";
    case OutputPart::kScale:
      return "scale";
    case OutputPart::kGlobalScale:
      return "global";
    case OutputPart::kInputScale:
      return "input";
    case OutputPart::kShape:
      return "shape";
    case OutputPart::kKvScale:
      return "cache";
  }
  return {};
}

struct Row {
  Format format;
  Dialect dialect;
  bool with_input_scale;
  std::vector<std::string> parts;  // "codes X.weight U8 [200, 128]"
};

class TargetPartsTest : public ::testing::TestWithParam<Row> {};

// X is [200, 256].
TEST_P(TargetPartsTest, AreTheDialects) {
  const Row& row = GetParam();
  checkpoint::LogicalWeight weight;
  weight.name = "X.weight";
  weight.module = "X";
  weight.shape = {200, 256};
  Fp8Blocks blocks;
  if (row.dialect == &dialects::kCompressedTensors) {
    blocks.scale_dtype = checkpoint::DType::kBF16;
    blocks.four_dimensions = false;
  }
  std::vector<std::string> parts;
  for (const TargetPart& part : TargetParts({.format = row.format,
                                .dialect = *row.dialect,
                                .with_input_scale = row.with_input_scale,
                                .weight = weight,
                                .fp8_blocks = blocks})) {
    parts.push_back(std::string(PartName(part.part)) + " " + part.name + " " +
                    std::string(checkpoint::DTypeName(part.dtype)) + " " +
                    checkpoint::ShapeText(part.shape));
  }
  EXPECT_EQ(parts, row.parts);
}

using namespace formats;  // NOLINT: rows name most of them
constexpr Dialect kModelopt = &dialects::kModelopt;
constexpr Dialect kCompressed = &dialects::kCompressedTensors;

INSTANTIATE_TEST_SUITE_P(
    Modelopt, TargetPartsTest,
    ::testing::Values(
        Row{kBf16, kModelopt, true, {"codes X.weight BF16 [200, 256]"}},
        Row{kNvfp4,
            kModelopt,
            true,
            {"codes X.weight U8 [200, 128]", "scale X.weight_scale F8_E4M3 [200, 16]",
             "global X.weight_scale_2 F32 []", "input X.input_scale F32 []"}},
        Row{kNvfp4,
            kModelopt,
            false,
            {"codes X.weight U8 [200, 128]", "scale X.weight_scale F8_E4M3 [200, 16]",
             "global X.weight_scale_2 F32 []"}},
        Row{kMxfp4,
            kModelopt,
            true,
            {"codes X.weight U8 [200, 128]", "scale X.weight_scale U8 [200, 8]"}},
        Row{kMxfp8,
            kModelopt,
            true,
            {"codes X.weight F8_E4M3 [200, 256]", "scale X.weight_scale U8 [200, 8]"}},
        Row{kFp8Tensor,
            kModelopt,
            true,
            {"codes X.weight F8_E4M3 [200, 256]", "scale X.weight_scale F32 []",
             "input X.input_scale F32 []"}},
        Row{kFp8Tensor,
            kModelopt,
            false,
            {"codes X.weight F8_E4M3 [200, 256]", "scale X.weight_scale F32 []"}},
        Row{kFp8Channel,
            kModelopt,
            true,
            {"codes X.weight F8_E4M3 [200, 256]", "scale X.weight_scale F32 [200]"}},
        Row{kFp8Block,
            kModelopt,
            true,
            {"codes X.weight F8_E4M3 [200, 256]", "scale X.weight_scale F32 [2, 1, 2, 1]"}}));

INSTANTIATE_TEST_SUITE_P(
    CompressedTensors, TargetPartsTest,
    ::testing::Values(
        Row{kBf16, kCompressed, true, {"codes X.weight BF16 [200, 256]"}},
        Row{kNvfp4,
            kCompressed,
            true,
            {"codes X.weight_packed U8 [200, 128]", "scale X.weight_scale F8_E4M3 [200, 16]",
             "global X.weight_global_scale F32 [1]", "input X.input_global_scale F32 [1]"}},
        Row{kNvfp4,
            kCompressed,
            false,
            {"codes X.weight_packed U8 [200, 128]", "scale X.weight_scale F8_E4M3 [200, 16]",
             "global X.weight_global_scale F32 [1]"}},
        Row{kMxfp4,
            kCompressed,
            true,
            {"codes X.weight_packed U8 [200, 128]", "scale X.weight_scale U8 [200, 8]"}},
        Row{kMxfp8,
            kCompressed,
            true,
            {"codes X.weight F8_E4M3 [200, 256]", "scale X.weight_scale U8 [200, 8]"}},
        Row{kFp8Tensor,
            kCompressed,
            true,
            {"codes X.weight F8_E4M3 [200, 256]", "scale X.weight_scale BF16 [1]",
             "input X.input_scale BF16 [1]"}},
        Row{kFp8Channel,
            kCompressed,
            true,
            {"codes X.weight F8_E4M3 [200, 256]", "scale X.weight_scale BF16 [200, 1]"}},
        Row{kFp8Block,
            kCompressed,
            true,
            {"codes X.weight F8_E4M3 [200, 256]", "scale X.weight_scale BF16 [2, 2]"}},
        Row{kInt4,
            kCompressed,
            true,
            {"codes X.weight_packed I32 [200, 32]", "scale X.weight_scale BF16 [200, 2]",
             "shape X.weight_shape I64 [2]"}}));

TEST(CheckTargetTest, Int4HasNoModeloptLayout) {
  const std::string message = vernier::testing::ErrorOf(
      ErrorCode::kBadRule, [] { CheckTarget(kInt4, *kModelopt, "the rule"); });
  EXPECT_NE(message.find("compressed-tensors"), std::string::npos);
  for (const Format format :
       std::initializer_list<Format>{kNvfp4, kMxfp4, kMxfp8, kFp8Tensor, kFp8Channel, kFp8Block}) {
    CheckTarget(format, *kModelopt, "the rule");
  }
  CheckTarget(kInt4, *kCompressed, "the rule");
}

TEST(Fp8BlocksTest, FollowTheSourcesOwnConvention) {
  const Fp8Blocks v4 = Fp8BlocksOf(OpenTinyModel(), *kModelopt);
  EXPECT_TRUE(v4.native);
  EXPECT_EQ(v4.scale_suffix, ".scale");
  EXPECT_EQ(v4.scale_dtype, checkpoint::DType::kF8E8M0);
  EXPECT_FALSE(v4.four_dimensions);

  const TempDir directory;
  const Fp8Blocks v3 =
      Fp8BlocksOf(MakeHfModel(directory.path(), {.format = HfFormat::kNativeFp8}), *kModelopt);
  EXPECT_TRUE(v3.native);
  EXPECT_EQ(v3.scale_suffix, ".weight_scale_inv");
  EXPECT_EQ(v3.scale_dtype, checkpoint::DType::kF32);
  EXPECT_EQ(v3.size.rows, 128);
  EXPECT_EQ(v3.size.columns, 128);
}

TEST(Fp8BlocksTest, AreTheDialectsForOtherSources) {
  const TempDir directory;
  for (const HfFormat format : {HfFormat::kBf16, HfFormat::kCompressed, HfFormat::kModelopt}) {
    const checkpoint::SourceModel source = MakeHfModel(directory.path(), {.format = format});
    EXPECT_FALSE(Fp8BlocksOf(source, *kModelopt).native);
    EXPECT_TRUE(Fp8BlocksOf(source, *kModelopt).four_dimensions);
  }
  const Fp8Blocks compressed = Fp8BlocksOf(OpenTinyModel(), *kCompressed);
  EXPECT_FALSE(compressed.native);
  EXPECT_EQ(compressed.scale_suffix, ".weight_scale");
  EXPECT_EQ(compressed.scale_dtype, checkpoint::DType::kBF16);
}

}  // namespace
}  // namespace vernier::recipes

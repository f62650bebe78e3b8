// A format that only this program has, in a file and a row, goes all the way: a recipe asks for it,
// a plan lays it out, an export encodes it, and a source has it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/source_model.h"
#include "export/exporter.h"
#include "quantizers/float_formats.h"
#include "recipes/convert_recipe.h"
#include "recipes/plan.h"
#include "recipes/recipe_values.h"
#include "recipes/target_format.h"
#include "tests/export/export_recipe.h"
#include "tests/support/expect_error.h"
#include "tests/support/read_tensor.h"
#include "tests/support/source_tree.h"
#include "tests/support/temp_dir.h"

namespace vernier {
namespace {

using checkpoint::SourceModel;
using ::testing::HasSubstr;

constexpr std::string_view kFormat = "toy_int8";
constexpr std::string_view kModule = "model.layers.1.mlp.down_proj";

class ToyFormat : public ::testing::Test {
 protected:
  std::filesystem::path Path(const std::string& name) const { return directory_.path() / name; }

  const SourceModel source_ = checkpoint::OpenSourceModel(testing::kTestModels / "tiny-llama");

 private:
  testing::TempDir directory_;
};

TEST_F(ToyFormat, RecipesNameIt) {
  EXPECT_EQ(recipes::ValueOf(recipes::FormatNames(), kFormat), checkpoint::FormatWritten(kFormat));
  EXPECT_EQ(recipes::TargetFormatName(checkpoint::FormatWritten(kFormat)), kFormat);
}

TEST_F(ToyFormat, IsWrittenAndRead) {
  exporter::ConvertTo(Path("toy"), source_, checkpoint::FormatWritten(kFormat));
  const SourceModel toy = checkpoint::OpenSourceModel(Path("toy"));
  const checkpoint::LogicalWeight& weight = *toy.layout.FindModule(kModule);
  EXPECT_EQ(weight.format->name, kFormat);
  const std::vector<float> expected =
      testing::ReadWeight(source_.checkpoint, *source_.layout.FindModule(kModule));
  const std::vector<float> values = testing::ReadWeight(toy.checkpoint, weight);
  ASSERT_EQ(values.size(), expected.size());
  const auto columns = static_cast<size_t>(weight.columns());
  for (size_t row = 0; row < values.size(); row += columns) {
    float amax = 0;
    for (size_t i = 0; i < columns; ++i) amax = std::max(amax, std::fabs(expected[row + i]));
    for (size_t i = 0; i < columns; ++i) {
      ASSERT_NEAR(values[row + i], expected[row + i], amax / 127 * 0.501f) << row << " " << i;
    }
  }
}

TEST_F(ToyFormat, ItsConfigurationNamesIt) {
  exporter::ConvertTo(Path("toy"), source_, checkpoint::FormatWritten(kFormat));
  const Json config = ReadJsonFile(Path("toy") / "config.json");
  EXPECT_EQ(config["quantization_config"]["quant_algo"], "TOY_INT8");
}

// A source of it becomes any other.
TEST_F(ToyFormat, IsConvertedFurther) {
  exporter::ConvertTo(Path("toy"), source_, checkpoint::FormatWritten(kFormat));
  const SourceModel toy = checkpoint::OpenSourceModel(Path("toy"));
  exporter::ConvertTo(Path("bf16"), toy, checkpoint::formats::kBf16);
  const SourceModel bf16 = checkpoint::OpenSourceModel(Path("bf16"));
  std::vector<float> rounded = testing::ReadWeight(toy.checkpoint, *toy.layout.FindModule(kModule));
  for (float& value : rounded) value = quantizers::Bf16ToFloat(quantizers::FloatToBf16(value));
  EXPECT_EQ(testing::ReadWeight(bf16.checkpoint, *bf16.layout.FindModule(kModule)), rounded);
}

TEST_F(ToyFormat, ADialectWithoutANameForItRefusesIt) {
  recipes::Recipe recipe = recipes::ConvertRecipe({.source = source_,
                                                   .output = Path("toy"),
                                                   .weights = checkpoint::FormatWritten(kFormat),
                                                   .dialect = &dialects::kCompressedTensors});
  EXPECT_THAT(testing::ErrorOf(ErrorCode::kBadRule, [&] { recipes::MakePlan(source_, recipe); }),
              HasSubstr("compressed-tensors"));
}

// What the guide shows is what compiles here.
TEST(ToyFormatGuide, ShowsThisFile) {
  const std::string guide = ReadWholeFile(testing::kSourceTree / "docs/formats.md");
  for (const char* file : {"toy_int8.cc"}) {
    const std::string text = ReadWholeFile(testing::kSourceTree / "tests/toy_format" / file);
    EXPECT_THAT(guide, HasSubstr("```cpp\n" + text + "```"));
  }
}

}  // namespace
}  // namespace vernier

// Values read from other toolkits' checkpoints against the values that those toolkits read.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/source_model.h"
#include "checkpoint/weight_decoder.h"
#include "checkpoint/weight_reader.h"
#include "quantizers/float_formats.h"
#include "tests/support/read_tensor.h"
#include "tests/support/temp_dir.h"

namespace vernier::checkpoint {
namespace {

using ::vernier::testing::ReadWeight;
using ::vernier::testing::TempDir;

struct Stored {
  const char* directory;
  Format format;
  bool has_input_scale = false;
  bool exact_in_bf16 = false;
};

class FormatsTest : public ::testing::TestWithParam<Stored> {
 protected:
  FormatsTest() : source_(OpenAnySourceModel(Directory())), golden_(OpenGolden()) {}

  static std::filesystem::path Directory() {
    return std::filesystem::path(VERNIER_TEST_DATA) / "formats" / GetParam().directory;
  }

  // Read as BF16, widened so that -0 equals 0.
  static std::vector<float> ReadBf16(const Checkpoint& checkpoint, const LogicalWeight& weight) {
    std::vector<uint16_t> values(static_cast<size_t>(weight.rows() * ColumnsPerRow(weight)));
    WeightReader(checkpoint).ReadBf16(weight, 0, weight.rows(), values);
    std::vector<float> widened(values.size());
    std::transform(values.begin(), values.end(), widened.begin(), quantizers::Bf16ToFloat);
    return widened;
  }

  // ModelOpt writes the scale of a weight that is one block without dimensions.
  Format Expected(const LogicalWeight& weight) const {
    const bool one_block = GetParam().format == formats::kFp8Block &&
                           source_.checkpoint.tensor(weight.scale).info.shape.empty();
    return one_block ? formats::kFp8Tensor : GetParam().format;
  }

  // The golden values as a checkpoint of their own.
  SourceModel OpenGolden() const {
    std::filesystem::copy_file(Directory() / "golden.safetensors",
                               golden_directory_.path() / kSingleFileName);
    return OpenAnySourceModel(golden_directory_.path());
  }

  TempDir golden_directory_;  // before golden_, whose tensors lie there
  SourceModel source_;
  SourceModel golden_;
};

TEST_P(FormatsTest, EveryProjectionIsRecognised) {
  int projections = 0;
  size_t parts = 0;
  for (const LogicalWeight& weight : source_.layout.weights) {
    parts += weight.Parts().size();
    if (weight.format == formats::kPlain) continue;
    ++projections;
    EXPECT_EQ(FormatName(weight.format), FormatName(Expected(weight))) << weight.name;
    EXPECT_TRUE(weight.linear) << weight.name;
    EXPECT_GE(weight.layer, 0) << weight.name;
    EXPECT_TRUE(weight.name.ends_with("_proj.weight")) << weight.name;
    EXPECT_EQ(weight.input_scale != Checkpoint::kNotFound, GetParam().has_input_scale);
    EXPECT_EQ(ExactInBf16(source_.checkpoint, weight), GetParam().exact_in_bf16);
  }
  EXPECT_EQ(projections, 2 * 7);
  EXPECT_EQ(parts, source_.checkpoint.tensors().size());
}

// compressed-tensors decodes E2M1's code 8 to -0, ModelOpt and Vernier to 0.
TEST_P(FormatsTest, ValuesAreThoseOfTheToolkit) {
  ASSERT_EQ(golden_.layout.weights.size(), 4u);
  for (const LogicalWeight& golden : golden_.layout.weights) {
    const LogicalWeight& weight = *source_.layout.FindModule(golden.module);
    ASSERT_EQ(weight.shape, golden.shape);
    const DType dtype = golden_.checkpoint.tensor(golden.main).info.dtype;
    if (dtype == DType::kBF16) {
      EXPECT_EQ(ReadBf16(source_.checkpoint, weight), ReadBf16(golden_.checkpoint, golden));
    } else {
      EXPECT_EQ(ReadWeight(source_.checkpoint, weight), ReadWeight(golden_.checkpoint, golden));
    }
  }
}

// A range of rows that begins anywhere has the values of those rows of the whole.
TEST_P(FormatsTest, RowsMayBeSplitAnywhere) {
  for (const LogicalWeight& weight : source_.layout.weights) {
    const std::vector<float> whole = ReadWeight(source_.checkpoint, weight);
    const auto columns = static_cast<size_t>(ColumnsPerRow(weight));
    const float global_scale = ReadGlobalScale(source_.checkpoint, weight);
    for (const int64_t step : {int64_t{1}, int64_t{7}, weight.rows()}) {
      std::vector<float> values(whole.size());
      for (int64_t row = 0; row < weight.rows(); row += step) {
        const int64_t rows = std::min(step, weight.rows() - row);
        const ByteRange main = MainRange(source_.checkpoint, weight, row, rows);
        const ByteRange scale = ScaleRange(source_.checkpoint, weight, row, rows);
        // One byte off, so that nothing is aligned.
        std::vector<std::byte> bytes(1 + main.size());
        std::vector<std::byte> scales(1 + scale.size());
        const std::span main_bytes = std::span(bytes).subspan(1);
        const std::span scale_bytes = std::span(scales).subspan(1);
        source_.checkpoint.Read(weight.main, main.begin, main_bytes);
        if (scale.size() > 0) source_.checkpoint.Read(weight.scale, scale.begin, scale_bytes);
        const RawRows raw = {row, rows, main_bytes, scale_bytes, global_scale};
        const auto first = static_cast<size_t>(row) * columns;
        const auto count = static_cast<size_t>(rows) * columns;
        DecodeRows(source_.checkpoint, weight, raw, std::span(values).subspan(first, count));
        std::vector<uint16_t> rounded(count);
        DecodeRows(source_.checkpoint, weight, raw, std::span(rounded));
        for (size_t i = 0; i < count; ++i) {
          ASSERT_EQ(rounded[i], quantizers::FloatToBf16(values[first + i])) << weight.name;
        }
      }
      ASSERT_EQ(values, whole) << weight.name << " in steps of " << step;
    }
  }
}

TEST_P(FormatsTest, RangesCoverTheTensors) {
  for (const LogicalWeight& weight : source_.layout.weights) {
    const uint64_t main_bytes = source_.checkpoint.tensor(weight.main).info.Bytes();
    EXPECT_EQ(MainRange(source_.checkpoint, weight, 0, weight.rows()).size(), main_bytes);
    EXPECT_EQ(MainRange(source_.checkpoint, weight, 3, 0).size(), 0u);
    EXPECT_EQ(ScaleRange(source_.checkpoint, weight, 3, 0).size(), 0u);
    const ByteRange scale = ScaleRange(source_.checkpoint, weight, 0, weight.rows());
    if (weight.scale == Checkpoint::kNotFound) {
      EXPECT_EQ(scale.size(), 0u);
    } else {
      EXPECT_EQ(scale.size(), source_.checkpoint.tensor(weight.scale).info.Bytes());
    }
    uint64_t end = 0;
    for (int64_t row = 0; row < weight.rows(); ++row) {
      const ByteRange range = MainRange(source_.checkpoint, weight, row, 1);
      // A byte may hold an element of this row and one of the row before.
      const bool shared = weight.format == formats::kInt4Rows && row % 2 == 1;
      EXPECT_EQ(shared ? range.end : range.begin, end);
      end = range.end;
    }
    EXPECT_EQ(end, main_bytes);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, FormatsTest,
    ::testing::Values(Stored{"compressed_tensors_fp8_block", formats::kFp8Block},
                      Stored{"compressed_tensors_fp8_channel", formats::kFp8Channel},
                      Stored{"compressed_tensors_fp8_tensor", formats::kFp8Tensor, true},
                      Stored{"compressed_tensors_int4", formats::kInt4},
                      Stored{"compressed_tensors_int4_asymmetric", formats::kInt4Zero},
                      Stored{"compressed_tensors_mxfp4", formats::kMxfp4, false, true},
                      Stored{"compressed_tensors_mxfp8", formats::kMxfp8, false, true},
                      Stored{"compressed_tensors_nvfp4", formats::kNvfp4, true},
                      Stored{"modelopt_fp8", formats::kFp8Tensor, true},
                      Stored{"modelopt_fp8_channel", formats::kFp8Channel},
                      Stored{"modelopt_fp8_block", formats::kFp8Block},
                      Stored{"modelopt_int4", formats::kInt4Rows},
                      Stored{"modelopt_mxfp4", formats::kMxfp4, false, true},
                      Stored{"modelopt_mxfp8", formats::kMxfp8, false, true},
                      Stored{"modelopt_nvfp4", formats::kNvfp4, true},
                      Stored{"modelopt_w4a8", formats::kNvfp4Wide, true}),
    [](const auto& info) { return std::string(info.param.directory); });

}  // namespace
}  // namespace vernier::checkpoint

// Perplexity of the example model against the reference's, on all windows of eval.json, as
// `vernier eval` and `vernier trace --perplexity` measure it.
#include <gtest/gtest.h>

#include <cstdio>

#include "base/json.h"
#include "calib/trace.h"
#include "tests/calib/deepseek_v4_support.h"
#include "tests/support/temp_dir.h"

namespace vernier::calib {
namespace {

constexpr int64_t kAllWindows = 400;

datasets::CalibrationSet Windows() {
  const at::Tensor ids = ReadTensors(kMiniReference / "val_ids.safetensors").at("val_ids");
  datasets::CalibrationSet windows;
  windows.samples = kAllWindows;
  windows.sequence_length = kEvalWindow;
  const int32_t* first = ids.data_ptr<int32_t>();
  windows.ids.assign(first, first + kAllWindows * kEvalWindow);
  windows.lengths.assign(kAllWindows, kEvalWindow);
  return windows;
}

double Measure(recipes::ComputeDtype dtype) {
  const testing::TempDir scratch;
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(kMiniModel);
  const datasets::CalibrationSet windows = Windows();
  const ComputeSpec compute = {.dtype = dtype};
  Progress progress = Progress::Silent();
  return MeasureLikelihood(
             {.source = source,
              .compute = compute,
              .budget = {.batch_size = 8, .query_chunk = 128, .experts_per_group = 16},
              .tokens = windows,
              .scratch_directory = scratch.path()},
             progress)
      .perplexity.value;
}

TEST(DeepseekV4FullPerplexity, Bf16IsThatOfTheReference) {
  const double expected = ReadJsonFile(kMiniReference / "eval.json").at("ppl_bf16").get<double>();
  const double actual = Measure(recipes::ComputeDtype::kBFloat16);
  std::printf("BF16 perplexity %.4f, reference %.4f\n", actual, expected);
  EXPECT_NEAR(actual, expected, 0.005 * expected);
}

TEST(DeepseekV4FullPerplexity, Float32IsThatOfTheReference) {
  const double expected =
      ReadJsonFile(kMiniReference / "eval.json").at("ppl_f32_dequantized").get<double>();
  const double actual = Measure(recipes::ComputeDtype::kFloat32);
  std::printf("F32 perplexity %.6f, reference %.6f\n", actual, expected);
  EXPECT_NEAR(actual, expected, 1e-4 * expected);
}

}  // namespace
}  // namespace vernier::calib

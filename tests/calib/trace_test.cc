// Traces against transformers' reference, and what a lossless export changes: nothing.
#include "calib/trace.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/calib/deepseek_v4_support.h"
#include "tests/support/expect_error.h"
#include "tests/support/read_tensor.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::calib {
namespace {

const std::string kTiny = VERNIER_TEST_DATA "/models/tiny-deepseek-v4";

std::vector<float> ReadF32(const std::filesystem::path& path, const std::string& name) {
  return testing::ReadFileTensor(path, name).As<float>();
}

class TraceTest : public ::testing::Test {
 protected:
  TraceRequest Request() const {
    return {.source = source_,
            .compute = compute_,
            .budget = budget_,
            .tokens = tokens_,
            .scratch_directory = dir_.path()};
  }

  testing::TempDir dir_;
  const checkpoint::SourceModel source_ = checkpoint::OpenSourceModel(kTiny);
  ComputeSpec compute_ = {.dtype = recipes::ComputeDtype::kFloat32};
  CalibrationBudget budget_ = {.batch_size = 1, .query_chunk = 64, .experts_per_group = 3};
  const datasets::CalibrationSet tokens_ = ReadTokenIds(kTiny + "/reference.safetensors", 1024);
  Progress progress_ = Progress::Silent();
};

TEST_F(TraceTest, HoldsEveryLayerAndTheLogitsOfTheReference) {
  WriteTrace(Request(), dir_.path() / "trace.safetensors", progress_);
  // Layer 0 and 1 have no indexer: every position is comparable.
  for (const std::string name : {"hidden.0", "hidden.1"}) {
    const std::vector<float> ours = ReadF32(dir_.path() / "trace.safetensors", name);
    const std::vector<float> theirs = ReadF32(kTiny + "/reference.safetensors", "f32." + name);
    ASSERT_EQ(ours.size(), theirs.size());
    double difference = 0, norm = 0;
    for (size_t i = 0; i < ours.size(); ++i) {
      difference += std::pow(ours[i] - theirs[i], 2.0);
      norm += std::pow(theirs[i], 2.0);
    }
    EXPECT_LT(std::sqrt(difference / norm), 2e-5) << name;
  }
  EXPECT_EQ(ReadF32(dir_.path() / "trace.safetensors", "logits").size(), 288u * 1024u);
}

TEST_F(TraceTest, SpilledBuffersGiveTheSameFile) {
  WriteTrace(Request(), dir_.path() / "memory.safetensors", progress_);
  budget_.spill_hidden = true;
  WriteTrace(Request(), dir_.path() / "files.safetensors", progress_);
  EXPECT_EQ(ReadWholeFile(dir_.path() / "memory.safetensors"),
            ReadWholeFile(dir_.path() / "files.safetensors"));
}

TEST_F(TraceTest, PerplexityEqualsTheOneOfTheTracedLogits) {
  WriteTrace(Request(), dir_.path() / "trace.safetensors", progress_);
  const std::vector<float> logits = ReadF32(dir_.path() / "trace.safetensors", "logits");
  double total = 0;
  for (size_t t = 0; t + 1 < 288; ++t) {
    const float* row = &logits[t * 1024];
    double sum = 0;
    for (int i = 0; i < 1024; ++i) sum += std::exp(static_cast<double>(row[i]));
    total += std::log(sum) - row[tokens_.ids[t + 1]];
  }
  const Likelihood likelihood = MeasureLikelihood(Request(), progress_);
  EXPECT_EQ(likelihood.tokens, 287);
  EXPECT_NEAR(likelihood.nll.value, total / 287, 1e-6 * likelihood.nll.value);
}

TEST_F(TraceTest, TokenIdsAreChecked) {
  EXPECT_VERNIER_ERROR(ReadTokenIds(kTiny + "/reference.safetensors", 5), ErrorCode::kBadTokenIds,
                       "vocabulary of 5");
  testing::WriteSafetensors(dir_.path() / "x.safetensors",
                            {testing::MakeTensor("input_ids", checkpoint::DType::kF32, {1, 2},
                                                 std::vector<float>{1, 2})});
  EXPECT_VERNIER_ERROR(ReadTokenIds(dir_.path() / "x.safetensors", 5), ErrorCode::kBadTokenIds,
                       "input_ids");
}

}  // namespace
}  // namespace vernier::calib

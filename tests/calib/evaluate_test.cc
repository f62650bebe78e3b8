// Evaluations of whole models: against themselves, against traced logits, in little memory.
#include "calib/eval/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "calib/trace.h"
#include "tests/calib/deepseek_v4_support.h"
#include "tests/support/expect_error.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::calib {
namespace {

// The reference's 288 ids as rows of 96.
datasets::CalibrationSet Rows() {
  datasets::CalibrationSet rows = ReadTokenIds(kTinyModel / "reference.safetensors", 1024);
  rows.samples = 3;
  rows.sequence_length = 96;
  rows.lengths = {96, 96, 96};
  return rows;
}

constexpr MachineMemory kMachine = {.host_available = uint64_t{8} << 30,
                                    .device_available = uint64_t{8} << 30};

class EvaluateTest : public ::testing::Test {
 protected:
  EvalRequest Request(const checkpoint::SourceModel* reference = nullptr) {
    EvalRequest request = {.model = {source_, budget_},
                           .reference = {},
                           .variants = {EvalVariant::kWeights},
                           .compute = compute_,
                           .data = data_,
                           .scratch_directory = dir_.path()};
    if (reference != nullptr) request.reference.emplace(EvalModel{*reference, budget_});
    return request;
  }

  testing::TempDir dir_;
  const checkpoint::SourceModel source_ = checkpoint::OpenSourceModel(kTinyModel);
  ComputeSpec compute_ = {.dtype = recipes::ComputeDtype::kFloat32};
  CalibrationBudget budget_ = {.batch_size = 2, .query_chunk = 64, .experts_per_group = 8};
  datasets::EvaluationSet data_ = datasets::EvaluationSetOfIds(Rows(), "ids");
  Progress progress_ = Progress::Silent();
};

TEST_F(EvaluateTest, AModelIsExactlyItself) {
  const EvalResult result = Evaluate(Request(&source_), progress_);
  ASSERT_EQ(result.variants.size(), 2u);
  const VariantResult &reference = result.variants[0], &same = result.variants[1];
  EXPECT_EQ(reference.variant, EvalVariant::kReference);
  EXPECT_FALSE(reference.total.divergence.has_value());
  EXPECT_EQ(reference.total.likelihood.tokens, 3 * 95);
  EXPECT_EQ(same.total.likelihood.nll.value, reference.total.likelihood.nll.value);
  const Divergence& none = same.total.divergence.value();
  EXPECT_EQ(none.max_kl, 0);
  EXPECT_EQ(none.same_top.value, 1);
  EXPECT_EQ(none.perplexity_ratio.value, 1);
  EXPECT_EQ(none.rms_delta_p, 0);
}

TEST_F(EvaluateTest, FilesAndOtherGroupsOfExpertsGiveTheSameNumbers) {
  const EvalResult expected = Evaluate(Request(&source_), progress_);
  budget_.spill_hidden = true;
  budget_.experts_per_group = 3;
  EvalRequest request = Request(&source_);
  request.variants = {EvalVariant::kWeights, EvalVariant::kWeightsAndActivations};
  const EvalResult spilled = Evaluate(request, progress_);
  ASSERT_EQ(spilled.variants.size(), 3u);
  EXPECT_EQ(spilled.variants[1].total.likelihood.nll.value,
            expected.variants[1].total.likelihood.nll.value);
  EXPECT_EQ(spilled.variants[1].total.divergence->max_kl, 0);
  // The released model's FP8 projections take FP8 inputs.
  EXPECT_GT(spilled.variants[2].total.divergence->mean_kl.value, 0);
}

TEST_F(EvaluateTest, RowsAreThoseOfTheirSources) {
  data_.sources = {{.name = "first", .windows = 1, .scored = 95},
                   {.name = "rest", .first_window = 1, .windows = 2, .scored = 190}};
  const EvalResult both = Evaluate(Request(), progress_);
  const VariantResult& result = both.variants.at(0);
  ASSERT_EQ(result.sources.size(), 2u);
  EXPECT_EQ(result.sources[1].source, "rest");
  EXPECT_NEAR(
      result.total.likelihood.nll.value,
      (result.sources[0].likelihood.nll.value + 2 * result.sources[1].likelihood.nll.value) / 3,
      1e-12);
  // The first window alone.
  datasets::CalibrationSet rows = Rows();
  rows.samples = 1;
  rows.ids.resize(96);
  rows.lengths.resize(1);
  data_ = datasets::EvaluationSetOfIds(rows, "first");
  const EvalResult first = Evaluate(Request(), progress_);
  EXPECT_NEAR(first.variants.at(0).total.likelihood.nll.value,
              result.sources[0].likelihood.nll.value, 1e-6);
}

// Scores of a stretch of each window are the same scores; the rest is context and padding.
TEST_F(EvaluateTest, OnlyScoredTokensCount) {
  data_.scored.assign(data_.scored.size(), 0);
  data_.scored[95] = data_.scored[96 + 50] = 1;
  data_.tokens.lengths = {96, 60, 40};
  data_.sources[0].scored = 2;
  const EvalResult two = Evaluate(Request(), progress_);
  EXPECT_EQ(two.variants[0].total.likelihood.tokens, 2);

  WriteTrace({.source = source_,
              .compute = compute_,
              .budget = budget_,
              .tokens = Rows(),
              .scratch_directory = dir_.path()},
             dir_.path() / "trace.safetensors", progress_);
  // transformers' logits are those of one row of 288; ours of rows of 96 were just traced.
  const File file = File::OpenForRead(dir_.path() / "trace.safetensors");
  const auto header = checkpoint::ReadSafetensorsHeader(file);
  const auto logits = std::ranges::find(header.tensors, "logits", &checkpoint::TensorInfo::name);
  const auto nll = [&](int64_t row, int64_t position) {
    at::Tensor values = at::empty({1024}, at::kFloat);
    file.ReadAt(logits->begin + static_cast<uint64_t>((row * 96 + position) * 1024 * 4),
                {static_cast<std::byte*>(values.data_ptr()), values.nbytes()});
    const int32_t target = data_.tokens.ids[static_cast<size_t>(row * 96 + position + 1)];
    return -at::log_softmax(values.to(at::kDouble), 0)[target].item<double>();
  };
  EXPECT_NEAR(two.variants[0].total.likelihood.nll.value, (nll(0, 94) + nll(1, 49)) / 2, 1e-5);
}

TEST_F(EvaluateTest, ThePlanLeavesRoomForTheReference) {
  const Workload workload = {.samples = 64, .sequence_length = 512};
  const EvalModels roomy = PlanEvaluation(source_, &source_, compute_, workload, kMachine);
  ASSERT_FALSE(roomy.model.budget.spill_hidden);
  const uint64_t hidden = roomy.model.budget.hidden_bytes;
  compute_.host_memory = hidden + roomy.model.budget.checkpoint_bytes / 2;
  EXPECT_FALSE(
      PlanEvaluation(source_, nullptr, compute_, workload, kMachine).model.budget.spill_hidden);
  const EvalModels tight = PlanEvaluation(source_, &source_, compute_, workload, kMachine);
  EXPECT_TRUE(tight.model.budget.spill_hidden);
  EXPECT_TRUE(tight.reference->budget.spill_hidden);
  EXPECT_EQ(tight.reference->budget.batch_size, tight.model.budget.batch_size);
  EXPECT_EQ(tight.reference->budget.query_chunk, tight.model.budget.query_chunk);
}

TEST_F(EvaluateTest, AnotherVocabularyOrDepthIsRefused) {
  testing::WriteSyntheticDeepseekV4(dir_.path() / "a", {.layers = 5, .vocab = 512});
  const checkpoint::SourceModel other = checkpoint::OpenSourceModel(dir_.path() / "a");
  EXPECT_VERNIER_ERROR(PlanEvaluation(source_, &other, compute_, {}, kMachine),
                       ErrorCode::kBadArgument, "its vocabulary is 1024, not 512");
  testing::WriteSyntheticDeepseekV4(dir_.path() / "b", {.layers = 4, .vocab = 1024});
  const checkpoint::SourceModel shallow = checkpoint::OpenSourceModel(dir_.path() / "b");
  EXPECT_VERNIER_ERROR(PlanEvaluation(source_, &shallow, compute_, {}, kMachine),
                       ErrorCode::kBadArgument, "its number of layers is 5, not 4");
}

}  // namespace
}  // namespace vernier::calib

// Reading everything once: the plan of a reading, and its inner loops.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <vector>

#include "audit/scale_readings.h"
#include "audit/stream_plan.h"
#include "audit/weight_difference.h"
#include "base/file.h"
#include "quantizers/float_formats.h"
#include "quantizers/fp8.h"
#include "quantizers/simd_targets.h"
#include "tests/audit/audit_test_base.h"
#include "tests/support/squared_error.h"

namespace vernier::audit {
namespace {

using checkpoint::DType;
using testing::MakeTensor;

std::vector<float> RandomValues(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

TEST(DifferenceOf, IsTheDefinitionOnEveryInstructionSet) {
  for (const size_t count : {size_t{0}, size_t{1}, size_t{15}, size_t{16}, size_t{4099}}) {
    const std::vector<float> a = RandomValues(count, 1), b = RandomValues(count, 2);
    double columns[16] = {}, source_columns[16] = {};
    Difference expected;
    for (size_t i = 0; i < count; ++i) {
      const double error = double{a[i]} - double{b[i]};
      columns[i % 16] += error * error;
      source_columns[i % 16] += double{b[i]} * double{b[i]};
      expected.max_abs_error = std::max(expected.max_abs_error, std::fabs(error));
    }
    for (const double sum : columns) expected.squared_error += sum;
    for (const double sum : source_columns) expected.squared_source += sum;
    for (const int64_t target : quantizers::SimdTargets()) {
      const quantizers::ForcedSimdTarget forced(target);
      const Difference actual = DifferenceOf(a, b);
      EXPECT_EQ(actual.squared_error, expected.squared_error) << count;
      EXPECT_EQ(actual.squared_source, expected.squared_source) << count;
      EXPECT_EQ(actual.max_abs_error, expected.max_abs_error) << count;
    }
  }
}

TEST(DifferenceOf, TheSmallestDifferenceCounts) {
  const std::vector<float> zero(20, 0.0f);
  std::vector<float> tiny = zero;
  tiny[19] = 0x1p-149f;
  EXPECT_GT(DifferenceOf(tiny, zero).squared_error, 0.0);
  EXPECT_EQ(DifferenceOf(tiny, tiny).squared_error, 0.0);
  tiny[19] = -0.0f;
  EXPECT_EQ(DifferenceOf(tiny, zero).squared_error, 0.0);
}

TEST(BlockLossOf, IsTheDefinitionOnEveryInstructionSet) {
  constexpr float kGlobal = 0.25f;
  std::vector<float> values = RandomValues(512 * 16, 3);
  std::fill_n(values.begin() + 32, 16, 0.0f);
  std::vector<uint8_t> scales(512);
  for (size_t i = 0; i < scales.size(); ++i) scales[i] = static_cast<uint8_t>(i % 0x7F);
  scales[7] = 0x7E;
  std::fill_n(values.begin() + 7 * 16, 3, 673.0f);  // 6 * 448 / 4 = 672
  BlockLoss expected;
  for (size_t block = 0; block < scales.size(); ++block) {
    const float limit = 6.0f * (quantizers::E4m3ToFloat(scales[block]) * kGlobal);
    const float* first = values.data() + block * 16;
    const auto above =
        std::count_if(first, first + 16, [limit](float value) { return std::fabs(value) > limit; });
    expected.saturated += above;
    if (scales[block] == 0x7E) expected.clipped += above;
    expected.zero_blocks += std::all_of(first, first + 16, [](float value) { return value == 0; });
  }
  EXPECT_EQ(expected.zero_blocks, 1);
  EXPECT_EQ(expected.clipped, 3);
  for (const int64_t target : quantizers::SimdTargets()) {
    const quantizers::ForcedSimdTarget forced(target);
    const BlockLoss actual = BlockLossOf(values, scales, kGlobal);
    EXPECT_EQ(actual.saturated, expected.saturated);
    EXPECT_EQ(actual.clipped, expected.clipped);
    EXPECT_EQ(actual.zero_blocks, expected.zero_blocks);
  }
}

// A model of one weight that takes several jobs, in BF16 and in FP8 with blocks of 128 x 128.
class LargeWeightTest : public AuditTest {
 protected:
  static constexpr int64_t kRows = 1500;
  static constexpr int64_t kColumns = 4096;

  LargeWeightTest() : values_(RandomValues(kRows * kColumns, 4)) {
    for (float& value : values_) value = quantizers::Bf16ToFloat(quantizers::FloatToBf16(value));
  }

  void WriteModels() const {
    std::vector<uint16_t> bf16(values_.size());
    std::transform(values_.begin(), values_.end(), bf16.begin(), quantizers::FloatToBf16);
    std::vector<uint8_t> codes(values_.size());
    std::vector<float> scales(12 * 32);
    quantizers::QuantizeFp8Blocks(std::span<const float>(values_), kColumns, 128, 128,
                                  quantizers::Fp8ScaleKind::kF32, codes, scales);
    const testing::TestTensor norm =
        MakeTensor("norm.weight", DType::kBF16, {5}, std::vector<uint16_t>(5, 0x3F80));
    testing::WriteCheckpoint(
        SourceDirectory(), {{"model_type", "none"}},
        {norm, MakeTensor("a.up_proj.weight", DType::kBF16, {kRows, kColumns}, bf16)}, 1);
    // The scales in another shard than the weight.
    testing::WriteCheckpoint(
        Directory(),
        {{"model_type", "none"},
         {"quantization_config", {{"quant_method", "fp8"}, {"weight_block_size", {128, 128}}}}},
        {MakeTensor("a.up_proj.weight", DType::kF8E4M3, {kRows, kColumns}, codes),
         MakeTensor("a.up_proj.weight_scale_inv", DType::kF32, {12, 32}, scales), norm},
        3);
  }

  std::vector<float> values_;
};

TEST_F(LargeWeightTest, SumsOverJobsAreThoseOfTheDefinition) {
  WriteModels();
  const AuditReport report = Validate({.directory = Directory(), .source = SourceDirectory()});
  EXPECT_RULES(report);
  EXPECT_EQ(report.carried_tensors, 1);
  std::vector<uint8_t> codes(values_.size());
  std::vector<float> scales(12 * 32);
  quantizers::QuantizeFp8Blocks(std::span<const float>(values_), kColumns, 128, 128,
                                quantizers::Fp8ScaleKind::kF32, codes, scales);
  std::vector<float> restored(values_.size());
  for (size_t i = 0; i < values_.size(); ++i) {
    const float scale = scales[i / kColumns / 128 * 32 + i % kColumns / 128];
    restored[i] = quantizers::E4m3ToFloat(codes[i]) * scale;
  }
  const auto expected = testing::SquaredErrorOf(values_, restored);
  EXPECT_EQ(report.overall_error.values, kRows * kColumns);
  EXPECT_NEAR(report.overall_error.squared_error, expected.error, 1e-9 * expected.error);
  EXPECT_NEAR(report.overall_error.squared_source, expected.power, 1e-9 * expected.power);
}

// Every job needs the one scale, and one of them counts it.
TEST_F(LargeWeightTest, AScaleOfTheWholeTensorCountsOnce) {
  WriteModels();
  std::vector<uint8_t> codes(values_.size());
  quantizers::QuantizeFp8(values_, 1.0f / 64, codes);
  const auto write = [&](float scale) {
    testing::WriteCheckpoint(
        Directory(), {{"model_type", "none"}, {"quantization_config", {{"quant_method", "fp8"}}}},
        {MakeTensor("a.up_proj.weight", DType::kF8E4M3, {kRows, kColumns}, codes),
         MakeTensor("a.up_proj.weight_scale", DType::kF32, {1}, std::vector<float>{scale}),
         MakeTensor("norm.weight", DType::kBF16, {5}, std::vector<uint16_t>(5, 0x3F80))},
        3);
    return Validate({.directory = Directory(), .source = SourceDirectory()});
  };
  const AuditReport report = write(1.0f / 64);
  EXPECT_RULES(report);
  EXPECT_EQ(report.overall_error.values, kRows * kColumns);
  EXPECT_EQ(report.scale_bytes, 4u);
  EXPECT_EQ(report.scale_bytes_read, 4u);
  const AuditReport negative = write(-1.0f / 64);
  ASSERT_EQ(RulesOf(negative).count("V02"), 1u);
  EXPECT_THAT(negative.findings.front().tensors.front(), ::testing::HasSubstr("(1 of them)"));
}

TEST_F(LargeWeightTest, OneChangedByteAnywhereIsFound) {
  WriteModels();
  std::filesystem::remove_all(Directory());
  std::filesystem::copy(SourceDirectory(), Directory());
  std::string bytes = ReadWholeFile(Directory() / "model.safetensors");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);  // of the large weight or the norm
  WriteFileAtomically(Directory() / "model.safetensors", bytes);
  const AuditReport report = Validate({.directory = Directory(), .source = SourceDirectory()});
  EXPECT_RULES(report, "C02");
  EXPECT_EQ(report.carried_tensors, 1);
}

class StreamPlanTest : public LargeWeightTest {
 protected:
  // How often each byte of the files is read: by file, the counts of bytes by times read.
  static void ExpectReadOnce(const StreamPlan& plan, const checkpoint::Checkpoint& checkpoint,
                             size_t first_file, const std::vector<size_t>& tensors) {
    std::map<std::pair<size_t, uint64_t>, int> changes;  // of the number of readers
    for (const StreamJob& job : plan.Jobs()) {
      for (const FileRange& range : plan.Reads(job)) {
        if (range.begin == range.end) continue;
        ++changes[{range.file, range.begin}];
        --changes[{range.file, range.end}];
      }
    }
    for (const size_t tensor : tensors) {
      const checkpoint::TensorLocation& location = checkpoint.tensor(tensor);
      int readers = 0;
      for (const auto& [place, change] : changes) {
        if (place.first != first_file + location.shard) continue;
        if (place.second >= location.info.end) break;
        readers += change;
        if (place.second < location.info.begin) continue;
        EXPECT_EQ(readers, 1) << location.info.name;
      }
      EXPECT_EQ(readers, 1) << location.info.name;
    }
  }

  static std::vector<size_t> AllTensors(const checkpoint::Checkpoint& checkpoint) {
    std::vector<size_t> tensors(checkpoint.tensors().size());
    for (size_t i = 0; i < tensors.size(); ++i) tensors[i] = i;
    return tensors;
  }
};

TEST_F(StreamPlanTest, EveryByteOfBothIsReadOnce) {
  WriteModels();
  FindingList findings;
  const std::optional<Subject> subject = OpenSubject(Directory(), &findings);
  const auto comparison = OpenComparison(*subject, SourceDirectory(), {}, &findings);
  ASSERT_TRUE(comparison.has_value());
  const StreamPlan plan(*subject, &*comparison);
  const std::vector<StreamJob> jobs = plan.Jobs();
  EXPECT_GT(jobs.size(), 4u);
  for (const StreamJob& job : jobs) {
    uint64_t bytes = 0;
    for (const FileRange& range : plan.Reads(job)) bytes += range.end - range.begin;
    EXPECT_LE(bytes, kStreamJobBytes);
  }
  ExpectReadOnce(plan, subject->checkpoint, 0, AllTensors(subject->checkpoint));
  ExpectReadOnce(plan, comparison->source.checkpoint, subject->checkpoint.shards().size(),
                 AllTensors(comparison->source.checkpoint));
}

TEST_F(StreamPlanTest, ScalarsAreReadOnlyWhereTheyAreCarried) {
  MakeNvfp4Model(Native()).Write(Directory());
  FindingList findings;
  const std::optional<Subject> subject = OpenSubject(Directory(), &findings);
  std::vector<size_t> streamed = AllTensors(subject->checkpoint);
  for (const TensorPiece& piece : ScalarPieces(*subject)) std::erase(streamed, piece.tensor);
  const StreamPlan alone(*subject, nullptr);
  ExpectReadOnce(alone, subject->checkpoint, 0, streamed);
  std::filesystem::copy(Directory(), SourceDirectory());
  const auto comparison = OpenComparison(*subject, SourceDirectory(), {}, &findings);
  ExpectReadOnce(StreamPlan(*subject, &*comparison), subject->checkpoint, 0,
                 AllTensors(subject->checkpoint));
}

}  // namespace
}  // namespace vernier::audit

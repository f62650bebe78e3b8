// A checkpoint against its source: completeness, byte equality, dequantisation errors.
#include <tbb/global_control.h>

#include <cmath>
#include <vector>

#include "audit/report_json.h"
#include "base/file.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/source_model.h"
#include "tests/audit/audit_test_base.h"
#include "tests/support/expect_error.h"
#include "tests/support/read_tensor.h"
#include "tests/support/squared_error.h"

namespace vernier::audit {
namespace {

using checkpoint::DType;
using testing::MakeTensor;

constexpr int64_t kExpertWeights = 3 * 4 * 3;

using SourceTest = AuditTest;

testing::TestTensor ExtraTensor() {
  return MakeTensor("mtp.9.extra", DType::kF32, {2}, std::vector<float>{1.0f, 2.0f});
}

TEST_F(SourceTest, LosslessCheckpointIsExact) {
  const ModelFiles model = MakeNvfp4Model(Native());
  const AuditReport report = AuditAgainst(Native(), model);
  EXPECT_RULES(report);
  EXPECT_EQ(report.carried_tensors + 4 * kExpertWeights, report.tensors);
  ASSERT_EQ(report.role_errors.size(), 1u);
  EXPECT_EQ(report.role_errors[0].role, checkpoint::Role::kRoutedExpert);
  EXPECT_EQ(report.overall_error.weights, kExpertWeights);
  EXPECT_EQ(report.overall_error.exact, kExpertWeights);
  EXPECT_EQ(report.overall_error.RelativeError(), 0.0);
  EXPECT_EQ(report.overall_error.saturated, 0);
}

TEST_F(SourceTest, UntouchedCopyIsAllCarried) {
  const AuditReport report = AuditAgainst(NativeWithMtp(), NativeWithMtp());
  EXPECT_RULES(report);
  EXPECT_EQ(report.carried_tensors, report.tensors);
  EXPECT_TRUE(report.role_errors.empty());
}

// The statistics again, from the two checkpoints read as a whole.
TEST_F(SourceTest, ErrorsAreThoseOfTheDefinition) {
  const AuditReport report = AuditAgainst(Native(), MakeNvfp4Model(Native(), Conversion::kMax));
  EXPECT_RULES(report);
  const auto source = checkpoint::OpenSourceModel(SourceDirectory());
  const auto model = checkpoint::OpenSourceModel(Directory());
  testing::SquaredError expected;
  int64_t values = 0;
  for (const auto& weight : model.layout.weights) {
    if (weight.format != checkpoint::formats::kNvfp4) continue;
    const auto& original = *source.layout.FindModule(weight.module);
    expected.Add(testing::ReadWeight(source.checkpoint, original),
                 testing::ReadWeight(model.checkpoint, weight));
    values += weight.rows() * weight.columns();
  }
  const ErrorStatistics& overall = report.overall_error;
  EXPECT_EQ(overall.values, values);
  EXPECT_NEAR(overall.RelativeError(), std::sqrt(expected.Relative()), 1e-12);
  EXPECT_NEAR(overall.SqnrDb(), -20 * std::log10(overall.RelativeError()), 1e-9);
  EXPECT_EQ(overall.max_abs_error, expected.largest);
  EXPECT_GT(overall.RelativeError(), 0.0);
  EXPECT_LT(overall.RelativeError(), 0.15);
}

TEST_F(SourceTest, ReportDoesNotDependOnTheNumberOfThreads) {
  const Json parallel =
      ReportJson(AuditAgainst(Native(), MakeNvfp4Model(Native(), Conversion::kMax)));
  const tbb::global_control one_thread(tbb::global_control::max_allowed_parallelism, 1);
  EXPECT_EQ(
      ReportJson(OfSmallModel(Validate({.directory = Directory(), .source = SourceDirectory()}))),
      parallel);
}

TEST_F(SourceTest, SaturatedValuesAreCounted) {
  ModelFiles model = MakeNvfp4Model(Native());
  auto& scales = model.At("layers.0.ffn.experts.0.w2.weight_scale");
  scales.bytes[0] = std::byte{0x01};  // one block of 16 can hold almost nothing now
  const AuditReport report = AuditAgainst(Native(), model);
  EXPECT_GT(report.overall_error.saturated, 8);
  EXPECT_LE(report.overall_error.saturated, 16);
  EXPECT_EQ(report.overall_error.exact, kExpertWeights - 1);
}

TEST_F(SourceTest, WrongScalesShowInTheValues) {
  ModelFiles model = MakeNvfp4Model(Native());
  SetFloat(&model.At("layers.0.ffn.experts.0.w2.weight_scale_2"), 1.0f);
  EXPECT_RULES(AuditAgainst(Native(), model), "V12");
}

TEST_F(SourceTest, TensorLeftOut) {
  ModelFiles source = Native();
  source.tensors.push_back(ExtraTensor());
  EXPECT_RULES(AuditAgainst(source, MakeNvfp4Model(Native())), "C01");
}

TEST_F(SourceTest, TensorDroppedByTheManifestIsAccountedFor) {
  ModelFiles source = Native();
  source.tensors.push_back(ExtraTensor());
  source.Write(SourceDirectory());
  MakeNvfp4Model(Native()).Write(Directory());
  WriteFileAtomically(Directory() / "vernier_manifest.json",
                      R"({"tensors": [{"name": "mtp.9.extra", "action": "dropped"},
                                      {"name": "norm.weight", "action": "carried"}]})");
  EXPECT_RULES(Validate({.directory = Directory(), .source = SourceDirectory()}));
}

TEST_F(SourceTest, TensorThatTheSourceDoesNotHave) {
  ModelFiles source = Native();
  source.Remove("layers.0.attn.attn_sink");
  EXPECT_RULES(AuditAgainst(source, MakeNvfp4Model(Native())), "C01");
}

TEST_F(SourceTest, CarriedTensorWithAnotherByte) {
  ModelFiles model = MakeNvfp4Model(Native());
  model.At("norm.weight").bytes[0] ^= std::byte{1};
  const AuditReport report = AuditAgainst(Native(), model);
  EXPECT_RULES(report, "C02");
  EXPECT_EQ(report.findings[0].tensors, std::vector<std::string>{"norm.weight"});
}

TEST_F(SourceTest, CarriedTensorWithAnotherDtypeAndOtherValues) {
  ModelFiles model = MakeNvfp4Model(Native());
  model.At("norm.weight").spec.dtype = DType::kF16;
  EXPECT_RULES(AuditAgainst(Native(), model), "C02", "V12");
}

// BF16 in F32: each value is its upper half.
void WidenToF32(testing::TestTensor* tensor) {
  std::vector<std::byte> wide;
  for (size_t i = 0; i < tensor->bytes.size(); i += 2) {
    wide.insert(wide.end(), {std::byte{0}, std::byte{0}, tensor->bytes[i], tensor->bytes[i + 1]});
  }
  tensor->bytes = wide;
  tensor->spec.dtype = DType::kF32;
}

TEST_F(SourceTest, CarriedTensorInAWiderDtypeIsComparedByValue) {
  ModelFiles model = MakeNvfp4Model(Native());
  ASSERT_EQ(model.At("norm.weight").spec.dtype, DType::kBF16);
  WidenToF32(&model.At("norm.weight"));
  AuditReport report = AuditAgainst(Native(), model);
  EXPECT_RULES(report, "C02");
  EXPECT_EQ(report.Count(Severity::kInfo), 1);
  EXPECT_EQ(report.findings[0].tensors, std::vector<std::string>{"norm.weight (BF16 -> F32)"});
  EXPECT_EQ(report.overall_error.weights, kExpertWeights) << "it was not converted";
  model.At("norm.weight").bytes[3] ^= std::byte{0x80};
  EXPECT_RULES(AuditAgainst(Native(), model), "C02", "V12");
}

TEST_F(SourceTest, AnErrorInOneWeightLeavesAllOthersMeasured) {
  ModelFiles model = MakeNvfp4Model(Native());
  model.Remove("layers.1.ffn.experts.2.w2.weight_scale");
  const AuditReport report = AuditAgainst(Native(), model);
  EXPECT_TRUE(RulesOf(report).contains("V02"));
  EXPECT_EQ(report.overall_error.weights, kExpertWeights - 1);
}

TEST_F(SourceTest, ADefectOfTheSourceLeavesAllOthersMeasured) {
  ModelFiles source = Native();
  source.Remove("layers.0.attn.wq_b.scale");
  const AuditReport report = AuditAgainst(source, MakeNvfp4Model(Native()));
  EXPECT_TRUE(RulesOf(report).contains("C01"));
  EXPECT_EQ(report.overall_error.weights, kExpertWeights);
}

TEST_F(SourceTest, ReadsAreMeteredToTheEnd) {
  MakeNvfp4Model(Native()).Write(Directory());
  Native().Write(SourceDirectory());
  uint64_t last = 0, all = 0;
  Validate({.directory = Directory(),
            .source = SourceDirectory(),
            .on_read = [&](uint64_t done, uint64_t total) {
              EXPECT_GT(done, last);
              last = done;
              all = total;
            }});
  EXPECT_GT(all, 0u);
  EXPECT_EQ(last, all);
}

// The rules that need no knowledge of the model hold for any.
TEST_F(SourceTest, ModelsOfUnknownTypesAreComparedToo) {
  ModelFiles source = Native();
  source.config["model_type"] = "no_such_model";
  ModelFiles model = MakeNvfp4Model(source);
  const AuditReport report = AuditAgainst(source, model);
  EXPECT_RULES(report, "V05");  // only DeepSeek-V4 has NVFP4 beside quant_method fp8
  EXPECT_EQ(report.overall_error.weights, kExpertWeights);
  model.Remove("layers.1.ffn.experts.2.w2.weight_scale");
  EXPECT_TRUE(RulesOf(Audit(model)).contains("V02"));
}

TEST_F(SourceTest, WhatCannotBeCheckedThrows) {
  EXPECT_VERNIER_ERROR(Validate({.directory = Directory()}), ErrorCode::kNoCheckpoint, "model");
  Native().Write(Directory());
  EXPECT_VERNIER_ERROR(Validate({.directory = Directory(), .source = SourceDirectory()}),
                       ErrorCode::kNoCheckpoint, "source");
}

}  // namespace
}  // namespace vernier::audit

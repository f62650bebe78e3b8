// Statistics by layer and role, what they hint at, and what a report takes from the manifest.
#include "audit/statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "audit/config_changes.h"
#include "base/file.h"
#include "tests/audit/audit_test_base.h"

namespace vernier::audit {
namespace {

using checkpoint::DType;
using checkpoint::Role;
namespace formats = checkpoint::formats;
using testing::MakeTensor;

using StatisticsTest = AuditTest;

std::string Expert(int expert, const std::string& part, int layer = 1) {
  return "layers." + std::to_string(layer) + ".ffn.experts." + std::to_string(expert) + "." + part;
}

const CellStatistics& CellAt(const AuditReport& report, int layer, Role role) {
  for (const CellStatistics& cell : report.cells) {
    if (cell.layer == layer && cell.role == role) return cell;
  }
  throw std::out_of_range("no such cell");
}

TEST(DistributionOf, QuantilesAreValuesOfTheSample) {
  const std::vector<float> values = {5, 1, 4, 2, 3};
  const Distribution five = DistributionOf(values);
  EXPECT_EQ(five.count, 5);
  EXPECT_EQ(five.min, 1);
  EXPECT_EQ(five.lower_quartile, 2);
  EXPECT_EQ(five.median, 3);
  EXPECT_EQ(five.upper_quartile, 4);
  EXPECT_EQ(five.max, 5);
  EXPECT_EQ(DistributionOf({}).count, 0);
}

TEST_F(StatisticsTest, EveryWeightIsInOneCell) {
  const AuditReport report = AuditAgainst(Native(), MakeNvfp4Model(Native(), Conversion::kMax));
  int64_t weights = 0, compared = 0;
  std::pair previous{-2, Role::kEmbedding};
  for (const CellStatistics& cell : report.cells) {
    const std::pair place{cell.layer, cell.role};
    EXPECT_LT(previous, place);
    previous = place;
    weights += cell.weights;
    compared += cell.error.weights;
    int64_t of_formats = 0;
    for (const auto& [format, count] : cell.formats) of_formats += count;
    EXPECT_EQ(of_formats, cell.weights);
  }
  EXPECT_EQ(compared, report.overall_error.weights);
  EXPECT_EQ(weights + 25 + 3 * 36, report.tensors);  // beside weights: scales of FP8 and NVFP4
}

TEST_F(StatisticsTest, BlocksAreCountedByTheirScales) {
  ModelFiles model = MakeNvfp4Model(Native());
  auto& scales = model.At(Expert(2, "w2.weight_scale")).bytes;
  std::fill(scales.begin(), scales.end(), std::byte{0x38});  // 1.0 = 2^0: exponent field 7
  scales[0] = std::byte{0x7E};                               // 448
  scales[1] = std::byte{0x01};                               // subnormal
  auto& nibbles = model.At(Expert(2, "w2.weight")).bytes;
  std::fill_n(nibbles.begin() + 16, 8, std::byte{0x80});  // block 2: zeros with and without sign
  const BlockStatistics before =
      CellAt(Audit(MakeNvfp4Model(Native()), true), 1, Role::kRoutedExpert).blocks;
  const AuditReport report = Audit(model, true);
  const BlockStatistics& blocks = CellAt(report, 1, Role::kRoutedExpert).blocks;
  EXPECT_EQ(blocks.blocks, 4 * 3 * 64 * 64 / 16);
  EXPECT_EQ(std::accumulate(blocks.by_exponent.begin(), blocks.by_exponent.end(), int64_t{0}),
            blocks.blocks);
  EXPECT_EQ(blocks.at_maximum, before.at_maximum + 1);
  EXPECT_EQ(blocks.by_exponent[0], before.by_exponent[0] + 1);
  EXPECT_EQ(blocks.zero_blocks, before.zero_blocks + 1);
  EXPECT_EQ(CellAt(report, 0, Role::kAttention).blocks.blocks, 0);
  // Without the values nothing is known of zero blocks.
  EXPECT_EQ(CellAt(Audit(model), 1, Role::kRoutedExpert).blocks.zero_blocks, 0);
  EXPECT_EQ(CellAt(Audit(model), 1, Role::kRoutedExpert).blocks.by_exponent, blocks.by_exponent);
}

TEST_F(StatisticsTest, AmaxIsTheRangeOfTheScales) {
  ModelFiles model = MakeNvfp4Model(Native());
  SetFloat(&model.At(Expert(0, "w2.input_scale")), 0.01f);
  const AuditReport report = Audit(model);
  const CellStatistics& cell = CellAt(report, 1, Role::kRoutedExpert);
  EXPECT_EQ(cell.input_amax.size(), 12u);
  EXPECT_EQ(cell.weight_amax.size(), 12u);
  EXPECT_EQ(DistributionOf(cell.input_amax).max, double{2688.0f * 0.01f});
  EXPECT_EQ(DistributionOf(cell.input_amax).median, double{2688.0f * 0.005f});
}

TEST_F(StatisticsTest, CompressedTensorsScalesDivide) {
  testing::WriteCheckpoint(
      Directory(),
      {{"model_type", "none"}, {"quantization_config", {{"quant_method", "compressed-tensors"}}}},
      {MakeTensor("a.up_proj.weight_packed", DType::kU8, {64, 32},
                  std::vector<uint8_t>(64 * 32, 0x22)),
       MakeTensor("a.up_proj.weight_scale", DType::kF8E4M3, {64, 4},
                  std::vector<uint8_t>(64 * 4, 0x38)),
       MakeTensor("a.up_proj.weight_global_scale", DType::kF32, {1}, std::vector<float>{1344.0f}),
       MakeTensor("a.up_proj.input_global_scale", DType::kF32, {1}, std::vector<float>{672.0f})},
      1);
  const AuditReport report = OfSmallModel(Validate({.directory = Directory()}));
  ASSERT_EQ(report.cells.size(), 1u);
  EXPECT_EQ(report.cells[0].weight_amax, std::vector<float>{2.0f});
  EXPECT_EQ(report.cells[0].input_amax, std::vector<float>{4.0f});
}

TEST_F(StatisticsTest, WorstWeightsComeFirst) {
  ModelFiles model = MakeNvfp4Model(Native(), Conversion::kMax);
  auto& nibbles = model.At(Expert(3, "w2.weight")).bytes;
  for (size_t i = 0; i < nibbles.size(); i += 64) nibbles[i] ^= std::byte{0x07};
  const AuditReport report = AuditAgainst(Native(), model);
  ASSERT_EQ(report.worst_weights.size(), 32u);  // of 36
  EXPECT_EQ(report.worst_weights[0].module, Expert(3, "w2"));
  EXPECT_EQ(report.worst_weights[0].layer, 1);
  EXPECT_EQ(report.worst_weights[0].format, formats::kNvfp4);
  EXPECT_TRUE(std::is_sorted(report.worst_weights.begin(), report.worst_weights.end(),
                             [](const WeightError& a, const WeightError& b) {
                               return a.error.RelativeError() > b.error.RelativeError();
                             }));
  EXPECT_TRUE(AuditAgainst(Native(), MakeNvfp4Model(Native())).worst_weights.empty());
}

TEST_F(StatisticsTest, InputScaleFarFromItsNeighbours) {
  const auto audit_with = [this](float quotient) {
    ModelFiles model = MakeNvfp4Model(Native());
    SetFloat(&model.At(Expert(2, "w2.input_scale")), 0.005f * quotient);
    return Audit(model);
  };
  const AuditReport report = audit_with(17);
  EXPECT_RULES(report, "S01");
  EXPECT_TRUE(report.Clean());
  EXPECT_THAT(report.findings[0].tensors[0], ::testing::HasSubstr(Expert(2, "w2")));
  EXPECT_TRUE(RulesOf(audit_with(1.0f / 65)).contains("S01"));
  EXPECT_RULES(audit_with(15));
  EXPECT_FALSE(RulesOf(audit_with(1.0f / 63)).contains("S01"));
}

TEST_F(StatisticsTest, SharedLargestInputScaleIsProbablyAStandIn) {
  ModelFiles model = MakeNvfp4Model(Native());
  SetFloat(&model.At(Expert(2, "w2.input_scale")), 0.004f);
  EXPECT_RULES(Audit(model), "S02");  // three of four have 0.005
}

TEST_F(StatisticsTest, TheManifestKnowsTheTokensOfExperts) {
  ModelFiles model = MakeNvfp4Model(Native());
  SetFloat(&model.At(Expert(2, "w2.input_scale")), 0.004f);  // no guess beside a manifest
  model.Write(Directory());
  Json groups = Json::array();
  for (int expert = 0; expert < 4; ++expert) {
    const int tokens = expert == 3 ? 0 : 100 + expert;
    groups.push_back(
        {{"modules", {Expert(expert, "w1"), Expert(expert, "w3")}}, {"tokens", tokens}});
    groups.push_back({{"modules", {Expert(expert, "w2")}}, {"tokens", tokens}});
  }
  WriteFileAtomically(Directory() / "vernier_manifest.json", Json{{"scale_groups", groups}}.dump());
  const AuditReport report = OfSmallModel(Validate({.directory = Directory()}));
  EXPECT_RULES(report, "S02");
  EXPECT_EQ(report.findings[0].tensor_count, 3);  // w1, w2 and w3 of one expert
  ASSERT_EQ(report.expert_tokens.size(), 1u);
  EXPECT_EQ(report.expert_tokens[0].layer, 1);
  EXPECT_EQ(report.expert_tokens[0].tokens, (std::vector<int64_t>{100, 101, 102, 0}));
}

TEST_F(StatisticsTest, ClippedWeights) {
  ModelFiles model = MakeNvfp4Model(Native(), Conversion::kMax);
  auto& tensor = model.At(Expert(1, "w2.weight_scale_2"));
  float scale = 0;
  std::memcpy(&scale, tensor.bytes.data(), sizeof(scale));
  EXPECT_RULES(AuditAgainst(Native(), model));
  SetFloat(&tensor, scale * 0.97f);
  EXPECT_RULES(AuditAgainst(Native(), model), "S03");
}

TEST_F(StatisticsTest, UnusuallyManyLargestScales) {
  ModelFiles model = MakeNvfp4Model(Native());
  auto& scales = model.At(Expert(1, "w2.weight_scale")).bytes;
  std::fill(scales.begin(), scales.begin() + 140, std::byte{0x7E});
  EXPECT_RULES(Audit(model), "S03");
}

TEST_F(StatisticsTest, BlocksThatBecameZero) {
  ModelFiles model = MakeNvfp4Model(Native(), Conversion::kMax);
  auto& nibbles = model.At(Expert(1, "w2.weight")).bytes;
  std::fill_n(nibbles.begin(), 2 * 8, std::byte{0});
  const AuditReport report = AuditAgainst(Native(), model);
  EXPECT_RULES(report, "S04");
  EXPECT_THAT(report.findings[0].tensors[0], ::testing::HasSubstr("2 of 256 blocks"));
}

TEST(ConfigChanges, NamesTheDeepestValues) {
  const Json before = {{"a", 1},
                       {"gone", true},
                       {"deep", {{"x/y", "old"}, {"same", 2}, {"list", {1, 2}}}},
                       {"kind", {{"b", 1}}}};
  const Json after = {{"a", 1.0},
                      {"deep", {{"list", {1, 3}}, {"same", 2}, {"x/y", "new"}}},
                      {"kind", "text"},
                      {"added", {{"c", 1}}}};
  const std::vector<ConfigChange> changes =
      ConfigChanges(before, after, {{"/deep", "because"}, {"/kind", "why not"}});
  ASSERT_EQ(changes.size(), 5u);
  EXPECT_EQ(changes[0].path, "/gone");
  EXPECT_TRUE(changes[0].after.is_null());
  EXPECT_EQ(changes[1].path, "/deep/x~1y");
  EXPECT_EQ(changes[1].reason, "because");
  EXPECT_EQ(changes[2].path, "/deep/list");
  EXPECT_EQ(changes[2].after, Json({1, 3}));
  EXPECT_EQ(changes[3].path, "/kind");
  EXPECT_EQ(changes[3].reason, "why not");
  EXPECT_EQ(changes[4].path, "/added");
  EXPECT_TRUE(changes[4].before.is_null());
  EXPECT_EQ(changes[4].reason, "");
}

TEST_F(StatisticsTest, ConfigChangesAgainstTheSource) {
  const ModelFiles model = MakeNvfp4Model(Native());
  const AuditReport report = AuditAgainst(Native(), model);
  EXPECT_FALSE(report.config_changes.empty());
  for (const ConfigChange& change : report.config_changes) {
    EXPECT_TRUE(change.path.starts_with("/quantization_config/")) << change.path;
  }
  EXPECT_TRUE(AuditAgainst(Native(), Native()).config_changes.empty());
}

}  // namespace
}  // namespace vernier::audit

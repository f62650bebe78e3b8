#include "jobs/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"
#include "tools/inspect_text.h"

namespace vernier::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::vernier::checkpoint::DType;
using ::vernier::testing::MakeTensor;
using ::vernier::testing::TempDir;
using ::vernier::testing::TestTensor;

using jobs::Inspect;
using jobs::InspectFormat;
using jobs::InspectJson;
using jobs::InspectReport;
using jobs::InspectRole;
using jobs::InspectTensors;
using jobs::InspectTotals;

InspectReport InspectTiny() {
  return Inspect(std::filesystem::path(VERNIER_TEST_DATA) / "models/tiny-deepseek-v4");
}

const InspectRole* FindRole(const InspectReport& report, const std::string& name) {
  for (const InspectRole& role : report.roles) {
    if (role.role == name) return &role;
  }
  return nullptr;
}

TEST(Inspect, CountsTinyDeepseekV4) {
  const InspectReport report = InspectTiny();
  EXPECT_FALSE(report.roles_guessed);
  EXPECT_EQ(report.layers, 5);
  EXPECT_EQ(report.mtp_layers, 1);
  EXPECT_EQ(report.experts, 8);
  EXPECT_EQ(report.experts_per_token, 3);
  EXPECT_THAT(report.hash_routed_layers, ElementsAre(0, 1));
  EXPECT_EQ(report.totals.tensors, 508);
  EXPECT_EQ(report.totals.bytes, 4697976u);  // the index's total_size
  EXPECT_EQ(report.files.size(), 2u);
  EXPECT_EQ(report.files[0].tensors + report.files[1].tensors, 508);
  EXPECT_THAT(report.not_understood, IsEmpty());
  EXPECT_THAT(report.missing, IsEmpty());
  EXPECT_THAT(report.skipped, IsEmpty());
  // The values that a test compares lie beside the shards that the index names.
  EXPECT_THAT(report.left_out, ElementsAre("reference.safetensors"));
  ASSERT_EQ(report.notes.size(), 1u);
  EXPECT_THAT(report.notes[0], HasSubstr("left out"));
}

TEST(Inspect, CountsParametersNotBytes) {
  const InspectReport report = InspectTiny();
  const InspectRole* experts = FindRole(report, "routed_expert");
  ASSERT_NE(experts, nullptr);
  EXPECT_EQ(experts->totals.parameters, 5 * 8 * 3 * 128 * 128);
  EXPECT_EQ(experts->totals.bytes, 5u * 8 * 3 * (128 * 64 + 128 * 4));
  ASSERT_EQ(experts->formats.size(), 1u);
  EXPECT_EQ(experts->formats[0].format, "mxfp4");
  EXPECT_EQ(experts->formats[0].scales, "F8_E8M0 per 1 x 32");
  EXPECT_EQ(FindRole(report, "attention")->formats[0].scales, "F8_E8M0 per 128 x 128");
}

TEST(Inspect, RolesAddUpToTheTotal) {
  const InspectReport report = InspectTiny();
  InspectTotals sum;
  for (const InspectRole& role : report.roles) {
    sum.tensors += role.totals.tensors;
    sum.bytes += role.totals.bytes;
    sum.parameters += role.totals.parameters;
  }
  EXPECT_EQ(sum.tensors, report.totals.tensors);
  EXPECT_EQ(sum.bytes, report.totals.bytes);
  EXPECT_EQ(sum.parameters, report.totals.parameters);
}

TEST(Inspect, TextAndJsonTellTheSame) {
  const InspectReport report = InspectTiny();
  const std::string text = InspectText(report);
  EXPECT_THAT(text, HasSubstr("hash routing    layers 0-1"));
  EXPECT_THAT(text, HasSubstr("Not understood: nothing"));
  EXPECT_THAT(text, HasSubstr("1,966,080"));
  const Json json = InspectJson(report);
  EXPECT_EQ(json["totals"]["parameters"], report.totals.parameters);
  EXPECT_EQ(json["roles"].size(), report.roles.size());
  EXPECT_EQ(json["mtp_layers"], 1);
  EXPECT_EQ(json["files"][0]["name"], "model-00001-of-00002.safetensors");
}

TEST(Inspect, GuessesTheRolesOfAnUnknownModel) {
  const TempDir directory;
  ::vernier::testing::WriteCheckpoint(
      directory.path(), {{"model_type", "future"}},
      {MakeTensor<float>("model.layers.0.mlp.experts.4.up_proj.weight", DType::kF32, {1}, {1}),
       MakeTensor<float>("model.layers.11.x", DType::kF32, {2}, {1, 2})},
      1);
  const InspectReport report = Inspect(directory.path());
  EXPECT_TRUE(report.roles_guessed);
  EXPECT_EQ(report.model_type, "future");
  EXPECT_EQ(report.layers, 12);
  EXPECT_EQ(report.experts, 5);
  EXPECT_THAT(report.notes, IsEmpty());
  EXPECT_EQ(FindRole(report, "routed_expert")->totals.parameters, 1);
  EXPECT_EQ(FindRole(report, "other")->totals.parameters, 2);
  EXPECT_THAT(InspectText(report), HasSubstr("Roles (guessed from tensor names)"));
  EXPECT_EQ(InspectJson(report)["roles_guessed"], true);
}

TEST(Inspect, ConfigThatItsFamilyRefusesIsANote) {
  const TempDir directory;
  ::vernier::testing::WriteCheckpoint(directory.path(), {{"model_type", "deepseek_v4"}},
                                      {MakeTensor<float>("x.weight", DType::kF32, {1}, {1})}, 1);
  const InspectReport report = Inspect(directory.path());
  EXPECT_TRUE(report.roles_guessed);
  ASSERT_EQ(report.notes.size(), 1u);
  EXPECT_THAT(report.notes[0], HasSubstr("VN-CKPT-008"));
}

TEST(Inspect, ScalesOfWholeTensorsAndRowsAreOneFormatEach) {
  const auto data = std::filesystem::path(VERNIER_TEST_DATA) / "formats";
  const InspectReport tensor = Inspect(data / "compressed_tensors_fp8_tensor");
  EXPECT_EQ(FindRole(tensor, "dense_mlp")->formats.size(), 1u);
  EXPECT_EQ(FindRole(tensor, "dense_mlp")->formats[0].format, "fp8_tensor");
  EXPECT_EQ(FindRole(tensor, "dense_mlp")->formats[0].scales, "BF16 per tensor");
  const InspectReport channel = Inspect(data / "modelopt_fp8_channel");
  EXPECT_EQ(FindRole(channel, "dense_mlp")->formats[0].scales, "F32 per row");
  EXPECT_THAT(channel.not_understood, IsEmpty());
}

TEST(Inspect, ListsWhatItDoesNotUnderstand) {
  const TempDir directory;
  TestTensor opaque = MakeTensor<uint8_t>("layers.0.odd.weight", DType::kOpaque, {4}, {1, 2, 3});
  opaque.spec.opaque_dtype_name = "F6_E2M3";
  opaque.spec.opaque_bytes = 3;
  const std::vector<uint8_t> zeros(64);
  ::vernier::testing::WriteCheckpoint(
      directory.path(), ::vernier::testing::SyntheticDeepseekV4Config({}),
      {opaque, MakeTensor("layers.0.attn.wq_a.weight", DType::kF8E4M3, {8, 8}, zeros),
       MakeTensor<uint8_t>("layers.1.attn.wq_b.scale", DType::kF8E8M0, {1, 1}, {0}),
       MakeTensor<float>("layers.2.extra", DType::kF32, {1}, {1}),
       MakeTensor<float>("layers.3.extra", DType::kF32, {1}, {1})},
      1);
  const InspectReport report = Inspect(directory.path());
  std::vector<std::string> lines;
  for (const InspectTensors& each : report.not_understood) {
    lines.push_back(each.pattern + " " + std::to_string(each.tensors) + " " + each.reason);
  }
  EXPECT_THAT(lines,
              ElementsAre("layers.*.attn.wq_a.weight 1 no known weight format",
                          "layers.*.attn.wq_b.scale 1 no known weight format",
                          "layers.*.extra 2 unknown name", "layers.*.odd.weight 1 unknown dtype"));
  ASSERT_EQ(report.notes.size(), 1u);
  EXPECT_THAT(report.notes[0], HasSubstr("VN-CKPT-005"));
  EXPECT_THAT(report.missing, ::testing::Contains("embed.weight"));
  EXPECT_THAT(InspectText(report), HasSubstr("Missing tensors"));
}

TEST(Inspect, StaleTotalSizeIsANote) {
  const TempDir directory;
  ::vernier::testing::SyntheticOptions options;
  options.layers = 1;
  ::vernier::testing::WriteSyntheticDeepseekV4(directory.path(), options);
  const auto index = directory.path() / checkpoint::kIndexFileName;
  std::string text = ReadWholeFile(index);
  const std::string field = "\"total_size\": ";
  text.insert(text.find(field) + field.size(), "1");
  WriteFileAtomically(index, text);
  const InspectReport report = Inspect(directory.path());
  ASSERT_EQ(report.notes.size(), 1u);
  EXPECT_THAT(report.notes[0], HasSubstr("total_size"));
}

}  // namespace
}  // namespace vernier::tools

// Every rule of the corpus fires on its defect, and only on it; none fires on a clean checkpoint.
#include <map>

#include "audit/catalogue.h"
#include "base/file.h"
#include "tests/audit/audit_test_base.h"
#include "tests/audit/corpus.h"

namespace vernier::audit {
namespace {

class DefectTest : public AuditTest, public ::testing::WithParamInterface<DefectCase> {};

TEST_P(DefectTest, FiresExactlyItsRules) {
  const DefectCase& defect = GetParam();
  ModelFiles model = MakeBase(defect.base);
  defect.corrupt(model);
  model.Write(Directory());
  if (defect.against_source) Native().Write(SourceDirectory());
  const AuditReport report =
      Validate({.directory = Directory(),
                .source = defect.against_source ? SourceDirectory() : std::filesystem::path(),
                .depth = defect.depth,
                .tensor_parallel = defect.tensor_parallel});
  EXPECT_EQ(RulesOf(report), defect.rules) << ReportText(report);
}

INSTANTIATE_TEST_SUITE_P(Corpus, DefectTest, ::testing::ValuesIn(Corpus()),
                         [](const auto& info) { return info.param.name; });

TEST(Corpus, ViolatesEveryRuleInTwoWays) {
  std::map<std::string, int> ways;
  for (const DefectCase& defect : Corpus()) {
    for (const std::string& rule : defect.rules) ++ways[rule];
  }
  for (const Rule& rule : AllRules()) {
    if (rule.id.starts_with("J")) continue;  // no defect of a checkpoint
    EXPECT_GE(ways[std::string(rule.id)], 2) << rule.id;
  }
}

class TwinTest : public AuditTest, public ::testing::WithParamInterface<Base> {};

TEST_P(TwinTest, IsClean) {
  const AuditReport report = Audit(MakeBase(GetParam()), /*full=*/true);
  EXPECT_EQ(RulesOf(report), RulesOfBase(GetParam())) << ReportText(report);
  EXPECT_TRUE(report.Clean());
}

INSTANTIATE_TEST_SUITE_P(Corpus, TwinTest, ::testing::ValuesIn(kBases));

using CleanTest = AuditTest;

TEST_F(CleanTest, NothingFiresOnAnNvfp4Checkpoint) {
  const AuditReport report = Audit(MakeNvfp4Model(Native()), /*full=*/true);
  EXPECT_RULES(report);
  EXPECT_TRUE(report.Clean());
  EXPECT_EQ(report.quantised_weights.at(checkpoint::formats::kNvfp4), 3 * 4 * 3);
}

TEST_F(CleanTest, NothingFiresOnANativeCheckpoint) {
  EXPECT_RULES(Audit(NativeWithMtp(), /*full=*/true));
}

TEST_F(CleanTest, NothingFiresOnTheExample) {
  const AuditReport report =
      Validate({.directory = std::string(VERNIER_SOURCE_DIR) + "/examples/mini-deepseek-v4",
                .depth = AuditDepth::kFull});
  EXPECT_RULES(report);
  EXPECT_FALSE(report.quantised_weights.contains(checkpoint::formats::kNvfp4));
}

TEST_F(CleanTest, LayersUnderOtherNamesAreNotMissed) {
  ModelFiles model = MakeBase(Base::kLlama);
  for (testing::TestTensor& tensor : model.tensors) {
    std::string& name = tensor.spec.name;
    const size_t layers = name.find("model.layers.");
    if (layers == 0) name.replace(0, std::string("model.layers.").size(), "transformer.h.");
  }
  EXPECT_RULES(Audit(model));
}

TEST_F(CleanTest, AModelThatEmbedsNeedsNoHead) {
  ModelFiles model = MakeBase(Base::kLlama);
  model.config["architectures"] = {"LlamaModel"};
  model.Remove("lm_head.weight");
  EXPECT_RULES(Audit(model));
}

TEST_F(CleanTest, WarningsAloneAreClean) {
  const AuditReport report = Audit(MakeNvfp4Model(NativeWithMtp()));
  EXPECT_EQ(report.Count(Severity::kWarning), 1);
  EXPECT_TRUE(report.Clean());
}

using FileDefectTest = AuditTest;

TEST_F(FileDefectTest, StaleTotalSize) {
  MakeNvfp4Model(Native()).Write(Directory());
  const auto path = Directory() / "model.safetensors.index.json";
  Json index = ReadJsonFile(path);
  index["metadata"]["total_size"] = 1;
  WriteFileAtomically(path, index.dump());
  EXPECT_RULES(Validate({.directory = Directory()}), "V13");
}

// Engines read every tensor of the files that the index names.
TEST_F(FileDefectTest, IndexWithoutATensorIsHarmless) {
  MakeNvfp4Model(Native()).Write(Directory());
  const auto path = Directory() / "model.safetensors.index.json";
  Json index = ReadJsonFile(path);
  index["weight_map"].erase("norm.weight");
  WriteFileAtomically(path, index.dump());
  EXPECT_RULES(Validate({.directory = Directory()}));
}

TEST_F(FileDefectTest, TruncatedShard) {
  MakeNvfp4Model(Native()).Write(Directory());
  const auto path = Directory() / "model-00002-of-00002.safetensors";
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  EXPECT_RULES(Validate({.directory = Directory()}), "B04");
}

TEST_F(FileDefectTest, UnreadableQuantConfig) {
  MakeNvfp4Model(Native()).Write(Directory());
  WriteFileAtomically(Directory() / "hf_quant_config.json", "{");
  EXPECT_RULES(Validate({.directory = Directory()}), "V13");
}

}  // namespace
}  // namespace vernier::audit

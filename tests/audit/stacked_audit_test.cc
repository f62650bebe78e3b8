// Sources whose experts lie in one tensor a layer: whatever way they are stored, an audit compares
// each of them by value and reads every byte once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "audit/comparison.h"
#include "audit/report_json.h"
#include "audit/report_text.h"
#include "audit/stream_plan.h"
#include "audit/validate.h"
#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "checkpoint/families/decoder_config.h"
#include "checkpoint/families/hf_tensors.h"
#include "checkpoint/source_model.h"
#include "jobs/convert.h"
#include "tests/audit/stacked_families.h"
#include "tests/export/fp8_rows.h"
#include "tests/support/read_tensor.h"
#include "tests/support/source_tree.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::audit {
namespace {

namespace fs = std::filesystem;
using checkpoint::Checkpoint;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::StackForm;

const std::string kMoeBlock = "model.layers.1.mlp.experts.";
constexpr int64_t kRoutedLayers = 2, kEveryExpert = 8;  // of tiny-qwen3-moe

class Unheard final : public ProgressListener {
 public:
  void Hear(const ProgressEvent&) override {}
};

class StackedAuditTest : public ::testing::TestWithParam<StackForm> {
 protected:
  StackedAuditTest() {
    fs::copy(testing::kTestModels / "tiny-qwen3-moe", Apart());
    SetModelType(Apart());
  }

  fs::path Path(const std::string& name) const { return dir_.path() / name; }
  fs::path Apart() const { return Path("apart"); }

  void SetModelType(const fs::path& model) const {
    Json config = ReadJsonFile(model / "config.json");
    config["model_type"] = testing::StackedModelType(GetParam());
    WriteFileAtomically(model / "config.json", config.dump());
  }

  fs::path Stacked(const fs::path& from) const {
    testing::StackExperts(from, Path("stacked"), GetParam());
    return Path("stacked");
  }

  fs::path Convert(const fs::path& source, const std::string& name,
                   checkpoint::Format format) const {
    Unheard nobody;
    jobs::Convert({.places = {.source = source.string(), .output = Path(name).string()},
                   .recipe = {},
                   .weights = format,
                   .layouts = {},
                   .command = {}},
                  nobody);
    return Path(name);
  }

  fs::path Fp8Rows() const {
    exporter::WriteFp8Rows(checkpoint::OpenAnySourceModel(Apart()), Path("fp8"));
    return Path("fp8");
  }

  fs::path Dequantize(const fs::path& source, const std::string& name) const {
    Unheard nobody;
    jobs::Dequantize(
        {.places = {.source = source.string(), .output = Path(name).string()}, .command = {}},
        nobody);
    return Path(name);
  }

  static AuditReport Against(const fs::path& source, const fs::path& output) {
    return Validate({.directory = output, .source = source});
  }

 private:
  testing::TempDir dir_;
};

INSTANTIATE_TEST_SUITE_P(Forms, StackedAuditTest, ::testing::ValuesIn(testing::kStackForms),
                         [](const auto& info) { return info.param.Name(); });

// What findings of a rule name.
std::vector<std::string> NamedBy(const AuditReport& report, const std::string& rule) {
  std::vector<std::string> named;
  for (const Finding& finding : report.findings) {
    if (finding.rule != rule) continue;
    named.insert(named.end(), finding.tensors.begin(), finding.tensors.end());
  }
  return named;
}

// Turns bits of one byte of a tensor.
void Flip(const fs::path& directory, const std::string& tensor, uint64_t offset, uint8_t bits) {
  const Checkpoint checkpoint = Checkpoint::Open(directory);
  const std::byte changed =
      testing::ReadTensor(checkpoint, tensor).at(offset) ^ static_cast<std::byte>(bits);
  testing::Overwrite(directory, tensor, offset, std::span(&changed, 1));
}

int64_t Quantised(const AuditReport& report) {
  int64_t weights = 0;
  for (const auto& [format, count] : report.quantised_weights) weights += count;
  return weights;
}

TEST_P(StackedAuditTest, EveryExpertIsComparedAsIfItWereStoredAlone) {
  const fs::path stacked = Stacked(Apart());
  const fs::path output = Convert(stacked, "out", checkpoint::formats::kMxfp8);
  const AuditReport report = Against(stacked, output), apart = Against(Apart(), output);
  EXPECT_TRUE(report.findings.empty()) << ReportText(report);
  EXPECT_EQ(report.overall_error.weights, Quantised(report));
  EXPECT_GE(report.overall_error.weights, kRoutedLayers * kEveryExpert * 3);
  EXPECT_GT(report.overall_error.squared_error, 0);
  EXPECT_EQ(report.carried_tensors, apart.carried_tensors);
  EXPECT_EQ(ReportJson(report)["errors"], ReportJson(apart)["errors"]);
}

TEST_P(StackedAuditTest, OneChangedValueIsFound) {
  const fs::path stacked = Stacked(Apart());
  const fs::path output = Convert(stacked, "out", checkpoint::formats::kMxfp8);
  const std::string expert = kMoeBlock + "5.up_proj";
  const AuditReport before = Against(stacked, output);
  Flip(output, expert + ".weight", 700, 0x80);
  const AuditReport after = Against(stacked, output);
  EXPECT_NE(after.overall_error.squared_error, before.overall_error.squared_error);
  EXPECT_EQ(after.worst_weights.front().module, expert);
  Flip(output, expert + ".weight_scale", 9, 0x08);
  const AuditReport report = Against(stacked, output);
  EXPECT_THAT(NamedBy(report, "V12"), ElementsAre(HasSubstr(expert))) << ReportText(report);
  EXPECT_EQ(report.findings.size(), 1u);
}

// Another tool may have taken a stack apart and kept its values.
TEST_P(StackedAuditTest, WhatWasOnlyTakenApartHasTheBytesOfTheSource) {
  const fs::path stacked = Stacked(Apart());
  const AuditReport report = Against(stacked, Apart());
  EXPECT_TRUE(report.findings.empty()) << ReportText(report);
  EXPECT_EQ(report.carried_tensors, std::ssize(Checkpoint::Open(Apart()).tensors()));
  const std::string expert = kMoeBlock + "7.up_proj.weight";
  Flip(Apart(), expert, 3000, 1);
  const AuditReport changed = Against(stacked, Apart());
  EXPECT_THAT(NamedBy(changed, "C02"), ElementsAre(expert));
  EXPECT_EQ(changed.carried_tensors, report.carried_tensors - 1);
}

// In a stack they have another shape, so that values are compared: all are equal.
TEST_P(StackedAuditTest, ScalesOfRowsFollowTheirRows) {
  const fs::path fp8 = Fp8Rows();
  const fs::path stacked = Stacked(fp8);
  // No engine loads it; it is compared all the same.
  const AuditReport report = Against(stacked, fp8);
  for (const char* rule : {"C01", "C02", "V12"}) {
    EXPECT_THAT(NamedBy(report, rule), IsEmpty()) << ReportText(report);
  }
  EXPECT_EQ(report.overall_error.weights, kRoutedLayers * kEveryExpert * 3);
  EXPECT_EQ(report.overall_error.exact, report.overall_error.weights);
  Flip(fp8, kMoeBlock + "2.gate_proj.weight_scale", 4, 1);
  const AuditReport changed = Against(stacked, fp8);
  EXPECT_EQ(changed.overall_error.exact, report.overall_error.weights - 1);
  EXPECT_EQ(changed.worst_weights.front().module, kMoeBlock + "2.gate_proj");
}

// Both store stacks, in other formats.
TEST_P(StackedAuditTest, ADequantisedStackIsComparedExpertByExpert) {
  const fs::path stacked = Stacked(Fp8Rows());
  const fs::path output = Dequantize(stacked, "bf16");
  const std::string stack = kMoeBlock + "gate_up_proj";
  ASSERT_NE(Checkpoint::Open(output).Find(stack), Checkpoint::kNotFound);
  const AuditReport report = Against(stacked, output);
  for (const char* rule : {"C01", "C02", "V12"}) {
    EXPECT_THAT(NamedBy(report, rule), IsEmpty()) << ReportText(report);
  }
  const fs::path apart = Dequantize(Path("fp8"), "bf16-apart");
  const AuditReport one_by_one = Against(Path("fp8"), apart);
  constexpr int64_t kExperts = kRoutedLayers * kEveryExpert * 3, kStacks = kRoutedLayers * 2;
  EXPECT_EQ(report.overall_error.weights, one_by_one.overall_error.weights - kExperts + kStacks);
  EXPECT_EQ(report.overall_error.values, one_by_one.overall_error.values);
  EXPECT_DOUBLE_EQ(report.overall_error.squared_source, one_by_one.overall_error.squared_source);
  EXPECT_DOUBLE_EQ(report.overall_error.squared_error, one_by_one.overall_error.squared_error);
  Flip(output, stack, 40001, 0x40);  // an exponent's first bit
  EXPECT_THAT(NamedBy(Against(stacked, output), "V12"), ElementsAre(HasSubstr(stack)));
}

TEST_P(StackedAuditTest, EveryByteOfTheSourceIsReadOnce) {
  const fs::path stacked = Stacked(Apart());
  const fs::path output = Convert(stacked, "out", checkpoint::formats::kNvfp4);
  FindingList findings;
  const std::optional<Subject> subject = OpenSubject(output, &findings);
  const auto comparison = OpenComparison(*subject, stacked, {}, &findings);
  ASSERT_TRUE(comparison.has_value());
  const StreamPlan plan(*subject, &*comparison);
  const size_t first_file = subject->checkpoint.shards().size();
  std::vector<std::vector<int>> readers;
  for (const fs::path& file : plan.Files()) readers.emplace_back(fs::file_size(file));
  for (const StreamJob& job : plan.Jobs()) {
    for (const FileRange& range : plan.Reads(job)) {
      for (uint64_t i = range.begin; i < range.end; ++i) ++readers[range.file][i];
    }
  }
  for (const checkpoint::TensorLocation& tensor : comparison->source.checkpoint.stored_tensors()) {
    const auto begin = readers[first_file + tensor.shard].begin();
    EXPECT_EQ(std::count(begin + static_cast<ptrdiff_t>(tensor.info.begin),
                         begin + static_cast<ptrdiff_t>(tensor.info.end), 1),
              static_cast<ptrdiff_t>(tensor.info.Bytes()))
        << tensor.info.name;
  }
}

// Weights that are compared together end in the journal one after the other.
TEST_P(StackedAuditTest, AJournalThatEndsBetweenGateAndUpIsContinued) {
  const fs::path stacked = Stacked(Apart());
  const fs::path output = Convert(stacked, "out", checkpoint::formats::kMxfp8);
  const auto run = [&] {
    return ReportJson(
        Validate({.directory = output, .source = stacked, .journal = Path("journal")}));
  };
  const Json expected = run();
  const std::string whole = ReadWholeFile(Path("journal"));
  for (const char* last : {"experts.3.gate_proj", "experts.3.up_proj", "experts.6.down_proj"}) {
    WriteFileAtomically(Path("journal"), whole.substr(0, whole.find('\n', whole.find(last)) + 1));
    EXPECT_EQ(run(), expected) << last;
  }
}

// Of NVFP4 codes and scales are compared together. Nibbles are not transposed.
TEST(StackedNvfp4AuditTest, IsCarriedWithItsScales) {
  const testing::TempDir dir;
  const StackForm form = {.interleaved = true};
  const fs::path apart = dir.path() / "apart", nvfp4 = dir.path() / "nvfp4",
                 stacked = dir.path() / "stacked";
  fs::copy(testing::kTestModels / "tiny-qwen3-moe", apart);
  Json config = ReadJsonFile(apart / "config.json");
  config["model_type"] = testing::StackedModelType(form);
  WriteFileAtomically(apart / "config.json", config.dump());
  Unheard nobody;
  jobs::Convert({.places = {.source = apart.string(), .output = nvfp4.string()},
                 .recipe = {},
                 .layouts = {},
                 .command = {}},
                nobody);
  testing::StackExperts(nvfp4, stacked, form);
  const auto against = [&] { return Validate({.directory = nvfp4, .source = stacked}); };
  const AuditReport report = against();
  EXPECT_EQ(report.carried_tensors, std::ssize(Checkpoint::Open(nvfp4).tensors()))
      << ReportText(report);
  Flip(nvfp4, kMoeBlock + "1.up_proj.weight", 100, 1);
  Flip(nvfp4, kMoeBlock + "4.gate_proj.weight_scale", 20, 1);
  EXPECT_THAT(NamedBy(against(), "C02"),
              ElementsAre(kMoeBlock + "1.up_proj.weight", kMoeBlock + "4.gate_proj.weight_scale"));
}

// A slab of more than a job's bytes: rows are copied in pieces.
TEST_P(StackedAuditTest, LargeExpertsAreComparedInPieces) {
  Json config = ReadJsonFile(Apart() / "config.json");
  config.update({{"hidden_size", 1024},
                 {"moe_intermediate_size", 1504},
                 {"num_hidden_layers", 1},
                 {"num_local_experts", 2},
                 {"mlp_only_layers", Json::array()},
                 {"vocab_size", 32}});
  std::vector<testing::TestTensor> tensors;
  const auto family = checkpoint::MakeFamily(config);
  for (const checkpoint::TensorRow& row : checkpoint::DecoderRows(*family->Decoder())) {
    tensors.push_back(testing::RandomBf16(row.name, row.shape));
  }
  testing::WriteCheckpoint(Path("large"), config, tensors, 1);
  const fs::path stacked = Stacked(Path("large"));
  const fs::path output = Convert(stacked, "out", checkpoint::formats::kMxfp8);
  const AuditReport report = Against(stacked, output), apart = Against(Path("large"), output);
  EXPECT_TRUE(report.findings.empty()) << ReportText(report);
  EXPECT_EQ(report.overall_error.weights, apart.overall_error.weights);
  EXPECT_EQ(report.overall_error.values, apart.overall_error.values);
  EXPECT_EQ(report.overall_error.max_abs_error, apart.overall_error.max_abs_error);
  EXPECT_NEAR(report.overall_error.squared_error, apart.overall_error.squared_error,
              1e-9 * apart.overall_error.squared_error);
  EXPECT_EQ(report.scale_bytes_read, apart.scale_bytes_read);
  EXPECT_EQ(report.scale_bytes_read, report.scale_bytes);
}

}  // namespace
}  // namespace vernier::audit

// Experts in one tensor a layer: whatever way they are stored, what comes of them is what comes of
// the same experts stored one by one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/source_model.h"
#include "export/exporter.h"
#include "recipes/convert_recipe.h"
#include "recipes/plan.h"
#include "recipes/plan_shards.h"
#include "recipes/plan_stacks.h"
#include "run/source_ledger.h"
#include "tests/export/export_fixture.h"
#include "tests/export/export_recipe.h"
#include "tests/export/fp8_rows.h"
#include "tests/support/expect_error.h"
#include "tests/support/read_tensor.h"
#include "tests/support/source_tree.h"
#include "tests/support/stacked_model.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::exporter {
namespace {

namespace formats = checkpoint::formats;
namespace fs = std::filesystem;
using checkpoint::Checkpoint;
using checkpoint::SourceModel;
using ::testing::Contains;
using testing::StackForm;

const fs::path kQwen3Moe = testing::kTestModels / "tiny-qwen3-moe";
constexpr std::string_view kStack = "model.layers.1.mlp.experts.gate_up_proj";

class StacksExport : public ::testing::TestWithParam<StackForm> {
 protected:
  fs::path Path(const std::string& name) const { return directory_.path() / name; }

  // The model with its experts stacked.
  SourceModel Stacked(const fs::path& from = kQwen3Moe) {
    testing::StackExperts(from, Path("stacked"), GetParam());
    return testing::OpenStacked(Path("stacked"), GetParam());
  }

 private:
  testing::TempDir directory_;
};

void ExpectSameTensors(const fs::path& actual, const fs::path& expected) {
  const Checkpoint a = Checkpoint::Open(actual), b = Checkpoint::Open(expected);
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  for (const checkpoint::TensorLocation& location : b.tensors()) {
    ASSERT_NE(a.Find(location.info.name), Checkpoint::kNotFound) << location.info.name;
    EXPECT_EQ(ReadTensor(a, location.info.name), ReadTensor(b, location.info.name))
        << location.info.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, StacksExport, ::testing::ValuesIn(testing::kStackForms),
                         [](const auto& info) { return info.param.Name(); });

TEST_P(StacksExport, ExpertsAreQuantisedOneByOne) {
  const SourceModel stacked = Stacked();
  const SourceModel apart = checkpoint::OpenSourceModel(kQwen3Moe);
  for (const checkpoint::Format format :
       {checkpoint::Format(formats::kNvfp4), checkpoint::Format(formats::kMxfp8)}) {
    const std::string name(format->name);
    ConvertTo(Path("stacked-" + name), stacked, format);
    ConvertTo(Path("apart-" + name), apart, format);
    ExpectSameTensors(Path("stacked-" + name), Path("apart-" + name));
  }
}

// A copy of the stored tensor, once.
TEST_P(StacksExport, WhatIsKeptStaysStacked) {
  const SourceModel stacked = Stacked();
  recipes::Recipe recipe = recipes::ConvertRecipe(
      {.source = stacked, .output = Path("out"), .weights = formats::kMxfp8});
  std::erase_if(recipe.rules, [](const recipes::Rule& rule) {
    return rule.roles == std::vector{checkpoint::Role::kRoutedExpert};
  });
  const ExportSummary summary = ExportPlan(stacked, recipe, recipes::MakePlan(stacked, recipe));
  const Checkpoint output = Checkpoint::Open(Path("out"));
  EXPECT_EQ(ReadTensor(output, kStack), ReadTensor(stacked.checkpoint, kStack));
  EXPECT_EQ(output.Find("model.layers.1.mlp.experts.0.up_proj.weight"), Checkpoint::kNotFound);
  EXPECT_EQ(summary.carried_tensors + summary.converted_tensors,
            std::ssize(stacked.checkpoint.stored_tensors()));
}

// Where some experts are written anew, for a fold or another reason, all of the stack is.
TEST_P(StacksExport, WhatIsWrittenInBf16IsStackedAsItWas) {
  const SourceModel stacked = Stacked();
  recipes::Recipe recipe = recipes::ConvertRecipe(
      {.source = stacked, .output = Path("out"), .weights = formats::kMxfp8});
  std::erase_if(recipe.rules, [](const recipes::Rule& rule) {
    return rule.roles == std::vector{checkpoint::Role::kRoutedExpert};
  });
  recipes::Plan plan = recipes::MakePlan(stacked, recipe);
  plan.weights[stacked.layout.by_module.at("model.layers.1.mlp.experts.3.up_proj")].format =
      formats::kBf16;
  recipes::CompleteStacks(stacked, plan);
  recipes::LayOutShards(stacked, plan);
  ExportPlan(stacked, recipe, plan);
  EXPECT_EQ(ReadTensor(Checkpoint::Open(Path("out")), kStack),
            ReadTensor(stacked.checkpoint, kStack));
}

// FP8 with a scale a row, which lies as the rows do.
TEST_P(StacksExport, ScalesFollowTheirRows) {
  WriteFp8Rows(checkpoint::OpenSourceModel(kQwen3Moe), Path("fp8"));
  const SourceModel stacked = Stacked(Path("fp8"));
  const SourceModel apart = checkpoint::OpenSourceModel(Path("fp8"));
  EXPECT_EQ(stacked.layout.FindModule("model.layers.1.mlp.experts.2.up_proj")->format,
            formats::kFp8Channel);
  ConvertTo(Path("stacked-nvfp4"), stacked, formats::kNvfp4);
  ConvertTo(Path("apart-nvfp4"), apart, formats::kNvfp4);
  ExpectSameTensors(Path("stacked-nvfp4"), Path("apart-nvfp4"));
  ConvertTo(Path("stacked-bf16"), stacked, formats::kBf16);
  ConvertTo(Path("apart-bf16"), apart, formats::kBf16);
  testing::StackExperts(Path("apart-bf16"), Path("expected"), GetParam());
  ExpectSameTensors(Path("stacked-bf16"), Path("expected"));
}

// Shards that are finished are not written again, and their tensors have hashes in the ledger.
TEST_P(StacksExport, IsResumed) {
  const SourceModel stacked = Stacked();
  ConvertTo(Path("out"), stacked, formats::kNvfp4);
  const auto files = ReadTree(Path("out"));
  const ExportSummary again = ConvertTo(Path("out"), stacked, formats::kNvfp4);
  EXPECT_EQ(again.shards_written, 0);
  EXPECT_EQ(ReadTree(Path("out")), files);
  const run::Store store = run::Store::OpenForReading(recipes::DefaultRunDirectory(Path("out")));
  EXPECT_THAT(run::LoadTensorHashes(store.database()),
              Contains(::testing::Key("model.layers.1.mlp.experts.7.down_proj.weight")));
}

// Killed before all files were there; the source is another meanwhile, or looks as if.
class StacksResume : public StacksExport {
 protected:
  static constexpr int kFiles = 3;  // the stacks are in the last

  void SetUp() override {
    testing::StackExperts(kQwen3Moe, Path("stacked"), GetParam(), kFiles);
    Export();
    finished_ = ReadTree(Path("out"));
  }

  static std::string FileName(int number) {
    return "model-0000" + std::to_string(number) + "-of-0000" + std::to_string(kFiles) +
           ".safetensors";
  }

  void Touch(int file) const {
    const fs::path path = Path("stacked") / FileName(file);
    fs::last_write_time(path, fs::last_write_time(path) + std::chrono::seconds(5));
  }

  // As a job does.
  ExportSummary Export() {
    const SourceModel stacked = testing::OpenStacked(Path("stacked"), GetParam());
    RequireSourceFiles(run::Store::Open(recipes::DefaultRunDirectory(Path("out"))),
                       stacked.checkpoint);
    return ConvertTo(Path("out"), stacked, formats::kNvfp4);
  }

  // Gives an expert's first element another value.
  void Change(const std::string& expert) const {
    const SourceModel stacked = testing::OpenStacked(Path("stacked"), GetParam());
    const Checkpoint& checkpoint = stacked.checkpoint;
    const checkpoint::StackPart& part = *checkpoint.PartOf(checkpoint.Find(expert));
    const auto first = static_cast<uint64_t>(part.first);
    const std::byte other{0x5A};
    testing::Overwrite(
        Path("stacked"), checkpoint.tensor(part.stored).info.name,
        part.slab_begin + first * (part.transposed ? part.element_bytes : part.line_bytes),
        std::span(&other, 1));
  }

  std::map<std::string, std::string> finished_;
};

INSTANTIATE_TEST_SUITE_P(Forms, StacksResume, ::testing::ValuesIn(testing::kStackForms),
                         [](const auto& info) { return info.param.Name(); });

TEST_P(StacksResume, TouchedFilesAreReadAndKept) {
  for (int file = 1; file <= kFiles; ++file) Touch(file);
  fs::remove(Path("out") / FileName(1));
  EXPECT_EQ(Export().shards_written, 1);
  EXPECT_EQ(ReadTree(Path("out")), finished_);
}

// Where its file is kept all of it is read again, as it was touched; where it is missing, for it.
TEST_P(StacksResume, AChangedExpertIsNoticed) {
  const std::string expert = "model.layers.1.mlp.experts.3.up_proj.weight";
  Change(expert);
  Touch(kFiles);
  for (const int missing : {1, kFiles}) {
    fs::remove(Path("out") / FileName(missing));
    EXPECT_VERNIER_ERROR(Export(), ErrorCode::kSourceChanged,
                         FileName(kFiles) + ": " + expert + " has other bytes");
    EXPECT_FALSE(fs::exists(Path("out") / FileName(missing)));
  }
}

TEST_P(StacksExport, TheManifestNamesEveryPart) {
  const SourceModel stacked = Stacked();
  ConvertTo(Path("out"), stacked, formats::kNvfp4);
  const Json manifest = ReadJsonFile(Path("out") / "vernier_manifest.json");
  std::map<std::string, Json> entries;
  for (const Json& entry : manifest["tensors"]) {
    EXPECT_TRUE(entries.emplace(entry["name"], entry).second) << entry["name"];
  }
  EXPECT_EQ(entries.size(), stacked.checkpoint.stored_tensors().size());
  const Json& stack = entries.at(std::string(kStack));
  EXPECT_EQ(stack["action"], "converted");
  ASSERT_EQ(stack["parts"].size(), 16);
  EXPECT_EQ(stack["parts"][1]["name"], "model.layers.1.mlp.experts.0.up_proj.weight");
  EXPECT_THAT(stack["parts"][1]["outputs"],
              Contains("model.layers.1.mlp.experts.0.up_proj.weight_scale_2"));
}

// A model without a family of its own, of which it is known how it stores experts.
class StacksOfAKnownModel : public ::testing::Test {
 protected:
  StacksOfAKnownModel() {
    testing::StackExperts(kQwen3Moe, directory_.path() / "in", {});
    Json config = ReadJsonFile(directory_.path() / "in/config.json");
    config["model_type"] = "qwen3_5_moe";
    WriteFileAtomically(directory_.path() / "in/config.json", config.dump());
  }

  // What engines are told to leave alone where the experts stay.
  Json Ignored(recipes::Dialect dialect) {
    const SourceModel source = checkpoint::OpenAnySourceModel(directory_.path() / "in");
    recipes::Recipe recipe = recipes::ConvertRecipe({.source = source,
                                                     .output = directory_.path() / "out",
                                                     .weights = formats::kMxfp8,
                                                     .dialect = dialect});
    std::erase_if(recipe.rules, [](const recipes::Rule& rule) {
      return rule.roles == std::vector{checkpoint::Role::kRoutedExpert};
    });
    ExportPlan(source, recipe, recipes::MakePlan(source, recipe));
    return ReadJsonFile(directory_.path() / "out/config.json")["quantization_config"]["ignore"];
  }

  testing::TempDir directory_;
};

TEST_F(StacksOfAKnownModel, AreQuantisedOneByOne) {
  ConvertTo(directory_.path() / "out", checkpoint::OpenAnySourceModel(directory_.path() / "in"),
            formats::kNvfp4);
  const Checkpoint output = Checkpoint::Open(directory_.path() / "out");
  EXPECT_NE(output.Find("model.layers.1.mlp.experts.7.up_proj.weight_scale_2"),
            Checkpoint::kNotFound);
  EXPECT_EQ(output.Find(kStack), Checkpoint::kNotFound);
}

// Beside a quantised dense MLP, whose names begin as theirs: a kept stack is one module to engines.
TEST_F(StacksOfAKnownModel, AreOneModuleWhereTheyStay) {
  EXPECT_THAT(Ignored(&dialects::kModelopt), Contains("*.mlp.experts"));
}

TEST_F(StacksOfAKnownModel, AreOneModuleOfALayerInCompressedTensors) {
  EXPECT_THAT(Ignored(&dialects::kCompressedTensors), Contains("model.layers.1.mlp.experts"));
}

// Codes and scales of blocks, as gpt-oss stores them: NVFP4 has the same values.
TEST(StacksOfBlocksExport, AreCastWithoutLoss) {
  const StackForm form = {.interleaved = true, .blocks = true};
  const testing::TempDir directory;
  const fs::path apart = directory.path() / "apart", stacked = directory.path() / "stacked";
  ConvertTo(apart, checkpoint::OpenSourceModel(kQwen3Moe), formats::kMxfp4);
  testing::StackExperts(apart, stacked, form);
  const SourceModel blocks = testing::OpenStacked(stacked, form);
  const checkpoint::LogicalWeight* weight =
      blocks.layout.FindModule("model.layers.1.mlp.experts.2.gate_proj");
  ASSERT_NE(weight, nullptr);
  EXPECT_EQ(weight->format, formats::kMxfp4);
  const SourceModel source = checkpoint::OpenSourceModel(apart);
  ConvertTo(directory.path() / "blocks-nvfp4", blocks, formats::kNvfp4);
  ConvertTo(directory.path() / "apart-nvfp4", source, formats::kNvfp4);
  ExpectSameTensors(directory.path() / "blocks-nvfp4", directory.path() / "apart-nvfp4");
  // Dequantised it is one tensor again, of values.
  ConvertTo(directory.path() / "blocks-bf16", blocks, formats::kBf16);
  ConvertTo(directory.path() / "apart-bf16", source, formats::kBf16);
  testing::StackExperts(directory.path() / "apart-bf16", directory.path() / "bf16-stacked",
                        {.interleaved = true});
  ExpectSameTensors(directory.path() / "blocks-bf16", directory.path() / "bf16-stacked");
}

// gpt-oss: what its blocks hold lies transposed where it is plain. Biases of experts stay stacked.
TEST(StacksOfBlocksExport, AreDequantisedAsTheReleaseHasPlainValues) {
  const testing::TempDir directory;
  const SourceModel source = checkpoint::OpenSourceModel(testing::kTestModels / "gpt_oss");
  ConvertTo(directory.path() / "bf16", source, formats::kBf16);
  const SourceModel plain = checkpoint::OpenSourceModel(directory.path() / "bf16");
  const std::string experts = "model.layers.1.mlp.experts.";
  const size_t stack = plain.checkpoint.Find(experts + "gate_up_proj");
  ASSERT_NE(stack, Checkpoint::kNotFound);
  EXPECT_THAT(plain.checkpoint.tensor(stack).info.shape, ::testing::ElementsAre(5, 96, 64));
  EXPECT_NE(plain.checkpoint.Find(experts + "down_proj_bias"), Checkpoint::kNotFound);
  for (const char* name : {"3.gate_proj.weight", "3.up_proj.weight", "4.down_proj.weight",
                           "2.up_proj.bias", "0.down_proj.bias"}) {
    const checkpoint::LogicalWeight* before = source.layout.FindName(experts + name);
    const checkpoint::LogicalWeight* after = plain.layout.FindName(experts + name);
    ASSERT_TRUE(before != nullptr && after != nullptr) << name;
    EXPECT_EQ(testing::ReadWeight(plain.checkpoint, *after),
              testing::ReadWeight(source.checkpoint, *before))
        << name;
  }
}

// Experts one by one, and their biases as they were.
TEST(StacksOfBlocksExport, AnOutputWithStackedBiasesIsASourceAgain) {
  const testing::TempDir directory;
  ConvertTo(directory.path() / "nvfp4",
            checkpoint::OpenSourceModel(testing::kTestModels / "gpt_oss"), formats::kNvfp4);
  const SourceModel output = checkpoint::OpenSourceModel(directory.path() / "nvfp4");
  EXPECT_NE(output.layout.FindName("model.layers.0.mlp.experts.4.up_proj.bias"), nullptr);
}

}  // namespace
}  // namespace vernier::exporter

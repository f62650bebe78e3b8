// GGUF files against those of llama.cpp's own converter (tests/data/gguf/README.md): the same
// tensors, byte for byte, and the same metadata.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "checkpoint/source_model.h"
#include "export/exporter.h"
#include "recipes/convert_recipe.h"
#include "recipes/plan.h"
#include "run/store.h"
#include "tests/export/export_fixture.h"
#include "tests/support/expect_error.h"
#include "tests/support/gguf_file.h"
#include "tests/support/source_tree.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::exporter {
namespace {

namespace fs = std::filesystem;
namespace formats = checkpoint::formats;
using testing::GgufFile;

const fs::path kGgufData = fs::path(VERNIER_TEST_DATA) / "gguf";
constexpr size_t kLongList = 16;  // of which the listings have a hash

struct Golden {
  const char* name;
  const char* model;
  checkpoint::Format weights;
  float input_scale = 0;  // 0: none
};

std::ostream& operator<<(std::ostream& out, const Golden& golden) { return out << golden.name; }

recipes::Recipe RecipeOf(const checkpoint::SourceModel& source, const fs::path& output,
                         checkpoint::Format weights, float input_scale = 0) {
  return recipes::ConvertRecipe({.source = source,
                                 .output = output,
                                 .weights = weights,
                                 .dialect = &dialects::kGguf,
                                 .activations = input_scale > 0
                                                    ? recipes::ActivationScales::kConstant
                                                    : recipes::ActivationScales::kNone,
                                 .constant_input_scale = input_scale});
}

class GgufExport : public ::testing::Test {
 protected:
  fs::path Output() const { return directory_.path() / "out"; }

  ExportSummary Convert(const fs::path& model, checkpoint::Format weights, float input_scale = 0,
                        Progress progress = Progress::Silent()) {
    const checkpoint::SourceModel source = checkpoint::OpenAnySourceModel(model);
    const recipes::Recipe recipe = RecipeOf(source, Output(), weights, input_scale);
    const recipes::Plan plan = recipes::MakePlan(source, recipe);
    run::Store store = run::Store::Open(directory_.path() / "run");
    return Export({.source = source,
                   .plan = plan,
                   .recipe = recipe,
                   .inputs = {},
                   .store = store,
                   .output = Output(),
                   .settings = settings_,
                   .progress = progress});
  }

  // What all files of the output hold.
  GgufFile All() const {
    GgufFile all;
    for (const auto& entry : fs::directory_iterator(Output())) {
      if (entry.path().extension() != ".gguf") continue;
      GgufFile file = testing::ReadGgufFile(entry.path());
      all.tensors.merge(file.tensors);
      all.metadata.merge(file.metadata);
    }
    return all;
  }

  StreamSettings settings_;
  testing::TempDir directory_;
};

class GgufGolden : public GgufExport, public ::testing::WithParamInterface<Golden> {};

INSTANTIATE_TEST_SUITE_P(
    Models, GgufGolden,
    ::testing::Values(Golden{"llama_nvfp4", "tiny-llama", formats::kNvfp4},
                      Golden{"qwen3_nvfp4", "tiny-qwen3", formats::kNvfp4, 0.5F},
                      Golden{"qwen3_moe_nvfp4", "../gguf/qwen3_moe", formats::kNvfp4, 0.5F},
                      Golden{"mistral", "mistral", formats::kBf16},
                      Golden{"llama_bias", "llama_bias", formats::kBf16},
                      Golden{"llama_linear", "llama_linear", formats::kBf16},
                      Golden{"mixtral", "mixtral", formats::kBf16},
                      Golden{"qwen2", "qwen2", formats::kBf16},
                      Golden{"deepseek_v3", "tiny-deepseek-v3", formats::kBf16},
                      Golden{"deepseek_v3_fp8", "deepseek_v3_fp8", formats::kBf16},
                      Golden{"deepseek_v4", "tiny-deepseek-v4", recipes::kKeep}),
    [](const auto& info) { return std::string(info.param.name); });

std::string TypeName(uint32_t type) {
  static const std::map<uint32_t, std::string> kNames = {
      {0, "F32"}, {1, "F16"}, {8, "Q8_0"}, {26, "I32"}, {30, "BF16"}, {39, "MXFP4"}, {40, "NVFP4"}};
  return kNames.at(type);
}

Json TensorsOf(const GgufFile& file) {
  Json tensors = Json::object();
  for (const auto& [name, tensor] : file.tensors) {
    tensors[name] = {TypeName(tensor.type), tensor.shape, HashHex(tensor.bytes)};
  }
  return tensors;
}

TEST_P(GgufGolden, HasTheTensorsOfTheConvertersFile) {
  Convert(testing::kTestModels / GetParam().model, GetParam().weights, GetParam().input_scale);
  const Json golden = ReadJsonFile(kGgufData / (std::string(GetParam().name) + ".json"));
  const Json tensors = TensorsOf(All());
  for (const auto& [name, tensor] : golden["tensors"].items()) {
    ASSERT_TRUE(tensors.contains(name)) << name;
    EXPECT_EQ(tensors[name], tensor) << name;
  }
  EXPECT_EQ(tensors.size(), golden["tensors"].size());
}

// What the converter guesses from the directory's name, and what it counts beside it.
const std::set<std::string> kGuessed = {"general.name",       "general.basename",
                                        "general.size_label", "general.finetune",
                                        "general.version",    "general.organization"};

TEST_P(GgufGolden, HasTheMetadataOfTheConvertersFile) {
  Convert(testing::kTestModels / GetParam().model, GetParam().weights, GetParam().input_scale);
  const Json golden = ReadJsonFile(kGgufData / (std::string(GetParam().name) + ".json"));
  const GgufFile file = All();
  for (const auto& [key, expected] : golden["metadata"].items()) {
    if (kGuessed.contains(key)) continue;
    ASSERT_TRUE(file.metadata.contains(key)) << key;
    const Json& value = file.metadata.at(key);
    if (!expected.is_object()) {
      EXPECT_EQ(value, expected) << key;
      continue;
    }
    ASSERT_GT(value.size(), kLongList);
    EXPECT_EQ(value.size(), expected["length"]) << key;
    EXPECT_EQ(HashHex(value.dump()), expected["xxh3_128"].get<std::string>()) << key;
  }
}

TEST_F(GgufExport, NothingStandsBesideItButTheManifest) {
  Convert(testing::kTestModels / "tiny-llama", formats::kNvfp4);
  std::vector<std::string> names;
  for (const auto& [name, bytes] : ReadTree(Output())) names.push_back(name);
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("model.gguf", "vernier_manifest.json"));
}

// Weights-only files say so: llama.cpp would quantise the inputs otherwise.
TEST_F(GgufExport, WithoutInputScalesInputsAreNotQuantised) {
  Convert(testing::kTestModels / "tiny-llama", formats::kNvfp4);
  const GgufFile file = All();
  const Json& names = file.metadata.at("general.tensor_extra.name");
  EXPECT_THAT(names.get<std::vector<std::string>>(), ::testing::Contains("blk.0.attn_q.weight"));
  EXPECT_EQ(file.metadata.at("general.tensor_extra.prec_a4").size(), names.size());
}

class SplitGgufExport : public GgufExport {
 protected:
  void SetUp() override {
    testing::WriteSyntheticDeepseekV4(Source(), {.shards = 7});
    Convert(Source(), recipes::kKeep);
    finished_ = ReadTree(Output());
  }

  fs::path Source() const { return directory_.path() / "source"; }

  std::vector<std::string> GgufNames() const {
    std::vector<std::string> names;
    for (const auto& [name, bytes] : finished_) {
      if (name.ends_with(".gguf")) names.push_back(name);
    }
    return names;
  }

  std::map<std::string, std::string> finished_;
};

// Experts of a layer lie in several of the source's files, and in one of the output's.
TEST_F(SplitGgufExport, EachFileKnowsItsPlaceAndTensorsAreWhole) {
  const std::vector<std::string> names = GgufNames();
  ASSERT_GT(names.size(), 1U);
  std::set<std::string> tensors;
  for (size_t i = 0; i < names.size(); ++i) {
    const GgufFile file = testing::ReadGgufFile(Output() / names[i]);
    EXPECT_EQ(file.metadata.at("split.no"), i);
    EXPECT_EQ(file.metadata.at("split.count"), names.size());
    EXPECT_EQ(file.metadata.contains("general.architecture"), i == 0);
    for (const auto& [name, tensor] : file.tensors) {
      EXPECT_TRUE(tensors.insert(name).second) << name;
    }
  }
  const GgufFile first = testing::ReadGgufFile(Output() / names.front());
  EXPECT_EQ(first.metadata.at("split.tensors.count"), tensors.size());
}

TEST_F(SplitGgufExport, BytesDoNotDependOnThreads) {
  fs::remove_all(Output());
  settings_.threads = 3;
  settings_.io.direct = false;
  Convert(Source(), recipes::kKeep);
  EXPECT_EQ(ReadTree(Output()), finished_);
}

// In the head, and in a tensor's last byte.
TEST_F(SplitGgufExport, ADamagedOrMissingFileIsWrittenAgain) {
  const std::vector<std::string> names = GgufNames();
  std::string damaged = finished_.at(names[1]);
  damaged[40] ^= 1;
  WriteFileAtomically(Output() / names[1], damaged);
  fs::remove(Output() / names.back());
  const ExportSummary summary = Convert(Source(), recipes::kKeep);
  EXPECT_EQ(summary.shards_written, names.size() == 2 ? 1 : 2);
  EXPECT_EQ(ReadTree(Output()), finished_);
}

TEST_F(GgufExport, WhatLlamaCppDoesNotScaleIsRefusedInNvfp4) {
  const checkpoint::SourceModel source =
      checkpoint::OpenAnySourceModel(testing::kTestModels / "qwen2");
  recipes::Recipe recipe = RecipeOf(source, Output(), formats::kNvfp4);
  // Of its own accord, a conversion gives these MXFP4.
  const auto mlp = std::ranges::find_if(recipe.rules, [](const recipes::Rule& rule) {
    return rule.roles.front() == checkpoint::Role::kDenseMlp;
  });
  ASSERT_NE(mlp, recipe.rules.end());
  EXPECT_EQ(mlp->format, formats::kMxfp4);
  mlp->format = formats::kNvfp4;
  EXPECT_VERNIER_ERROR(recipes::MakePlan(source, recipe), ErrorCode::kBadRule,
                       "ffn_down.weight in NVFP4, and llama.cpp does not multiply that");
}

TEST_F(GgufExport, ModelsThatLlamaCppDoesNotComputeAreRefused) {
  for (const char* model :
       {"deepseek_v3_bias", "deepseek_v3_no_q_lora", "qwen3_moe_sparse", "llama_yarn"}) {
    const checkpoint::SourceModel source =
        checkpoint::OpenAnySourceModel(testing::kTestModels / model);
    const recipes::Recipe recipe = RecipeOf(source, Output(), recipes::kKeep);
    EXPECT_THROW(recipes::MakePlan(source, recipe), Error) << model;
  }
}

TEST_F(GgufExport, FormatsWithoutATypeAreRefused) {
  const checkpoint::SourceModel source =
      checkpoint::OpenAnySourceModel(testing::kTestModels / "tiny-llama");
  const recipes::Recipe recipe = RecipeOf(source, Output(), formats::kFp8Channel);
  EXPECT_VERNIER_ERROR(recipes::MakePlan(source, recipe), ErrorCode::kBadRule,
                       "the dialect gguf cannot hold fp8_channel");
}

TEST_F(GgufExport, TheCacheHasNoScales) {
  const checkpoint::SourceModel source =
      checkpoint::OpenAnySourceModel(testing::kTestModels / "tiny-llama");
  recipes::Recipe recipe = RecipeOf(source, Output(), formats::kNvfp4);
  recipe.kv_cache = recipes::KvCache::kFp8Cast;
  EXPECT_VERNIER_ERROR(recipes::MakePlan(source, recipe), ErrorCode::kBadRule,
                       "the dialect gguf has no scales of the cache");
}

}  // namespace
}  // namespace vernier::exporter

// config.json, hf_quant_config.json, the index and copied files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "export/exporter.h"
#include "tests/export/export_fixture.h"
#include "tests/support/expect_error.h"

namespace vernier::exporter {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

class ExportConfigTest : public ExportFixture {
 protected:
  Json Written(const char* name) { return ReadJsonFile(Output() / name); }
  // Order does not matter to a reader, nor who produced it.
  static nlohmann::json Unordered(const Json& value) {
    nlohmann::json plain = nlohmann::json::parse(value.dump());
    plain.erase("producer");
    return plain;
  }
};

TEST_F(ExportConfigTest, HybridSaysWhatThePublishedCheckpointSays) {
  WriteSource({.layers = 43, .experts = 3, .hidden = 32, .moe_width = 32, .vocab = 32});
  Export();
  const Json published = ReadJsonFile(std::filesystem::path(VERNIER_TEST_DATA) / "configs" /
                                      "deepseek_v4_flash_nvfp4.json")["quantization_config"];
  const Json written = Written("config.json")["quantization_config"];
  EXPECT_EQ(Unordered(written), Unordered(published));
  EXPECT_EQ(written["quantized_layers"].size(), 43u);
  EXPECT_EQ(written["producer"]["name"], published["producer"]["name"]);
  EXPECT_TRUE(written["producer"]["version"].get<std::string>().starts_with("vernier-"));
}

TEST_F(ExportConfigTest, OnlyTheQuantisationOfTheConfigChanges) {
  WriteSource();
  Export();
  const Json source = ReadJsonFile(Source() / "config.json");
  Json written = Written("config.json");
  written["quantization_config"] = source["quantization_config"];
  EXPECT_EQ(written.dump(), source.dump());  // the order of fields too
}

TEST_F(ExportConfigTest, BothFilesSayTheSame) {
  WriteSource();
  for (const auto& rules : {HybridRules(), FullRules()}) {
    std::filesystem::remove_all(Output());
    ExportTo(Output(), rules);
    const Json flat = Written("config.json")["quantization_config"];
    const Json nested = Written("hf_quant_config.json");
    EXPECT_EQ(nested["producer"], flat["producer"]);
    const Json& quantization = nested["quantization"];
    EXPECT_EQ(quantization.size(), 5u);
    EXPECT_EQ(quantization["quant_algo"], flat["quant_algo"]);
    EXPECT_EQ(quantization["group_size"], flat["group_size"]);
    EXPECT_EQ(quantization["quantized_layers"], flat["quantized_layers"]);
    EXPECT_EQ(quantization["exclude_modules"], flat["ignore"]);
    EXPECT_TRUE(quantization.contains("kv_cache_quant_algo"));
    EXPECT_TRUE(quantization["kv_cache_quant_algo"].is_null());
    EXPECT_TRUE(flat["kv_cache_quant_algo"].is_null());
  }
}

TEST_F(ExportConfigTest, FullRecipeNamesEveryQuantisedModule) {
  WriteSource({.layers = 2, .experts = 3});
  ExportTo(Output(), FullRules());
  const Json layers = Written("config.json")["quantization_config"]["quantized_layers"];
  std::set<std::string> names;
  for (const auto& [name, value] : layers.items()) names.insert(name);
  std::set<std::string> expected;
  for (const std::string layer : {"layers.0.", "layers.1."}) {
    expected.insert(layer + "ffn.experts");
    for (const char* module : {"wq_a", "wq_b", "wkv", "wo_a", "wo_b"}) {
      expected.insert(layer + "attn." + module);
    }
    for (const char* module : {"w1", "w2", "w3"}) {
      expected.insert(layer + "ffn.shared_experts." + module);
    }
  }
  EXPECT_EQ(names, expected);
}

TEST_F(ExportConfigTest, FamilyPatchesAreApplied) {
  WriteSource();
  Json config = ReadJsonFile(Source() / "config.json");
  config["quantization_config"].erase("scale_fmt");
  WriteFileAtomically(Source() / "config.json", config.dump());
  Export();
  EXPECT_EQ(Written("config.json")["quantization_config"]["scale_fmt"], "ue8m0");
}

TEST_F(ExportConfigTest, IndexNamesEveryTensorAndTheirTrueSize) {
  WriteSource();
  const ExportSummary summary = Export();
  const Json index = Written("model.safetensors.index.json");
  // Opening compares the index with the shards' headers, in both directions.
  const checkpoint::Checkpoint output = checkpoint::Checkpoint::Open(Output());
  EXPECT_EQ(index["weight_map"].size(), output.tensors().size());
  EXPECT_EQ(index["metadata"]["total_size"], output.TensorBytes());
  EXPECT_EQ(index["metadata"]["total_size"], summary.output_tensor_bytes);
  const Json source = ReadJsonFile(Source() / "model.safetensors.index.json");
  EXPECT_NE(index["metadata"]["total_size"], source["metadata"]["total_size"]);
}

TEST_F(ExportConfigTest, ASingleFileSourceGetsAnIndexToo) {
  WriteSource({.layers = 1, .experts = 3, .shards = 1});
  Export();
  EXPECT_EQ(Written("model.safetensors.index.json")["weight_map"]["embed.weight"],
            "model.safetensors");
}

TEST_F(ExportConfigTest, CopiesWhatBelongsToTheModelAndNothingElse) {
  WriteSource({.layers = 1, .experts = 3, .shards = 2});
  const auto add = [&](const std::string& name) {
    CreateDirectories((Source() / name).parent_path());
    WriteFileAtomically(Source() / name, "content of " + name);
  };
  for (const char* name :
       {"tokenizer.json", "LICENSE", "inference/model.py", "inference/config.json"}) {
    add(name);
  }
  for (const char* name :
       {"hf_quant_config.json", "vernier_manifest.json", "old.safetensors", "pytorch_model.bin",
        ".gitattributes", ".cache/etag", "a/b/deep.txt", "inference/extra.safetensors"}) {
    add(name);
  }
  WriteFileAtomically(Source() / "hf_quant_config.json", "{}");
  std::filesystem::create_symlink(Source() / "LICENSE", Source() / "NOTICE");
  std::filesystem::create_directory_symlink("/", Source() / "root");

  const ExportSummary summary = Export();
  std::set<std::string> names;
  for (const auto& [name, content] : ReadTree(Output())) names.insert(name);
  EXPECT_THAT(names, UnorderedElementsAre(
                         "tokenizer.json", "LICENSE", "NOTICE", "inference/model.py",
                         "inference/config.json", "config.json", "hf_quant_config.json",
                         "model.safetensors.index.json", "vernier_manifest.json",
                         "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"));
  EXPECT_EQ(summary.copied_files, 5);
  EXPECT_EQ(ReadWholeFile(Output() / "NOTICE"), "content of LICENSE");
  EXPECT_EQ(ReadWholeFile(Output() / "inference/model.py"), "content of inference/model.py");
  EXPECT_FALSE(std::filesystem::is_symlink(Output() / "NOTICE"));
  EXPECT_EQ(Written("hf_quant_config.json")["quantization"]["quant_algo"], "MIXED_PRECISION");
}

TEST_F(ExportConfigTest, AnOutputInsideItsSourceIsRefused) {
  WriteSource({.layers = 1, .experts = 3, .shards = 2});
  EXPECT_VERNIER_ERROR(ExportTo(Source() / "nvfp4"), ErrorCode::kOutputExists, "inside the source");
  EXPECT_VERNIER_ERROR(ExportTo(Source()), ErrorCode::kOutputExists, "it is the source");
  EXPECT_FALSE(std::filesystem::exists(Source() / "nvfp4"));
}

}  // namespace
}  // namespace vernier::exporter

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <set>
#include <string>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "export/exporter.h"
#include "tests/export/export_fixture.h"

namespace vernier::exporter {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class ExportManifestTest : public ExportFixture {
 protected:
  Json Manifest() { return ReadJsonFile(Output() / "vernier_manifest.json"); }
};

TEST_F(ExportManifestTest, AccountsForEverySourceTensorOnceAndEveryOutputTensor) {
  WriteSource();
  ExportTo(Output(), FullRules());
  const checkpoint::Checkpoint source = checkpoint::Checkpoint::Open(Source());
  const checkpoint::Checkpoint output = checkpoint::Checkpoint::Open(Output());
  std::map<std::string, int> mentioned;
  std::set<std::string> outputs;
  const Json manifest = Manifest();
  for (const Json& tensor : manifest["tensors"]) {
    ++mentioned[tensor["name"].get<std::string>()];
    for (const Json& name : tensor["outputs"]) outputs.insert(name.get<std::string>());
    EXPECT_FALSE(tensor["by"].get<std::string>().empty());
  }
  EXPECT_EQ(mentioned.size(), source.tensors().size());
  for (const checkpoint::TensorLocation& tensor : source.tensors()) {
    EXPECT_EQ(mentioned[tensor.info.name], 1) << tensor.info.name;
  }
  EXPECT_EQ(outputs.size(), output.tensors().size());
  for (const std::string& name : outputs) {
    EXPECT_NE(output.Find(name), checkpoint::Checkpoint::kNotFound) << name;
  }
}

TEST_F(ExportManifestTest, SaysWhatBecameOfATensorAndWhy) {
  WriteSource();
  Export();
  std::map<std::string, Json> tensors;
  const Json manifest = Manifest();
  for (const Json& tensor : manifest["tensors"]) {
    tensors[tensor["name"].get<std::string>()] = tensor;
  }
  const std::string rule = HybridRules()[0].Describe();
  const Json& norm = tensors["layers.0.attn_norm.weight"];
  EXPECT_EQ(norm["action"], "carried");
  EXPECT_THAT(norm["outputs"], ElementsAre("layers.0.attn_norm.weight"));
  EXPECT_THAT(norm["by"].get<std::string>(), HasSubstr("no rule"));
  const std::string expert = "layers.0.ffn.experts.0.w1.";
  for (const std::string part : {"weight", "scale"}) {
    const Json& entry = tensors[expert + part];
    EXPECT_EQ(entry["action"], "converted");
    EXPECT_EQ(entry["by"], rule);
    EXPECT_THAT(std::set<std::string>(entry["outputs"].begin(), entry["outputs"].end()),
                ElementsAre(expert + "input_scale", expert + "weight", expert + "weight_scale",
                            expert + "weight_scale_2"));
  }
}

TEST_F(ExportManifestTest, HoldsScalesOfEveryGroup) {
  WriteSource({.layers = 2, .experts = 3});
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(Source());
  inputs_ = Calibrated(recipes::MakePlan(source, MakeRecipe(HybridRules())));
  for (run::InputAmax& input : inputs_) {
    if (input.module == "layers.1.ffn.experts.2.w2") input.amax = 0, input.tokens = 0;
  }
  Export();
  const checkpoint::Checkpoint output = checkpoint::Checkpoint::Open(Output());
  const Json groups = Manifest()["scale_groups"];
  EXPECT_EQ(groups.size(), 2u * 3u * 2u);
  int fallbacks = 0;
  for (const Json& group : groups) {
    for (const Json& module : group["modules"]) {
      const auto name = module.get<std::string>();
      EXPECT_EQ(group["weight_scale"].get<float>(), ReadScalar(output, name + ".weight_scale_2"));
      EXPECT_EQ(group["input_scale"].get<float>(), ReadScalar(output, name + ".input_scale"));
    }
    EXPECT_EQ(group["input_scale"].get<float>(), group["input_amax"].get<float>() / 2688.0f);
    EXPECT_EQ(group["scale"], "lossless");
    if (group["amax_from"] == "observed") {
      EXPECT_EQ(group["tokens"], 100);
      continue;
    }
    ++fallbacks;
    EXPECT_EQ(group["amax_from"], "layer");
    EXPECT_EQ(group["tokens"], 0);
    EXPECT_THAT(group["modules"], ElementsAre("layers.1.ffn.experts.2.w2"));
  }
  EXPECT_EQ(fallbacks, 1);
}

// As docs/manifest.md defines it.
std::string HashOfTensors(const std::string& file) {
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), sizeof header_bytes);
  const uint64_t data = sizeof header_bytes + header_bytes;
  std::map<uint64_t, uint64_t> ranges;
  const Json header = Json::parse(file.substr(sizeof header_bytes, header_bytes));
  for (const auto& [name, tensor] : header.items()) {
    if (name == "__metadata__") continue;
    ranges.emplace(tensor["data_offsets"][0].get<uint64_t>(),
                   tensor["data_offsets"][1].get<uint64_t>());
  }
  std::string text = file.substr(0, data);
  for (const auto& [begin, end] : ranges) {
    text += HashHex(file.substr(data + begin, end - begin));
  }
  return HashHex(text);
}

TEST_F(ExportManifestTest, FilesHaveTheirTrueSizeAndHash) {
  WriteSource();
  WriteFileAtomically(Source() / "tokenizer.json", "{}");
  Export();
  std::map<std::string, std::string> files = ReadTree(Output());
  files.erase("vernier_manifest.json");
  const Json manifest = Manifest();
  size_t listed = 0;
  for (const char* list : {"files", "copied_files"}) {
    for (const Json& file : manifest[list]) {
      const std::string& content = files.at(file["name"].get<std::string>());
      EXPECT_EQ(file["bytes"], content.size());
      const bool is_shard = file["name"].get<std::string>().ends_with(".safetensors");
      if (is_shard) {
        EXPECT_EQ(file["xxh3_128_of_tensors"], HashOfTensors(content));
      } else {
        EXPECT_EQ(file["xxh3_128"], HashHex(content));
      }
      ++listed;
    }
  }
  EXPECT_EQ(listed, files.size());
  EXPECT_EQ(manifest["copied_files"].size(), 1u);
}

TEST_F(ExportManifestTest, RecordsConfigChanges) {
  WriteSource();
  Json config = ReadJsonFile(Source() / "config.json");
  config["quantization_config"].erase("scale_fmt");
  WriteFileAtomically(Source() / "config.json", config.dump());
  Export();
  const Json patches = Manifest()["config_patches"];
  ASSERT_EQ(patches.size(), 2u);
  EXPECT_EQ(patches[0]["path"], "/quantization_config/scale_fmt");
  EXPECT_TRUE(patches[0]["before"].is_null());
  EXPECT_EQ(patches[0]["after"], "ue8m0");
  EXPECT_EQ(patches[1]["path"], "/quantization_config");
  EXPECT_EQ(patches[1]["after"], ReadJsonFile(Output() / "config.json")["quantization_config"]);
}

TEST_F(ExportManifestTest, NamesNoPlaceOfThisMachine) {
  WriteSource();
  Export();
  const std::string text = ReadWholeFile(Output() / "vernier_manifest.json");
  EXPECT_THAT(text, Not(HasSubstr(Source().parent_path().string())));
  const Json manifest = Manifest();
  EXPECT_EQ(manifest["source"]["directory"], "source-model");
  EXPECT_EQ(manifest["source"]["fingerprint"],
            checkpoint::Checkpoint::Open(Source()).fingerprint());
}

}  // namespace
}  // namespace vernier::exporter

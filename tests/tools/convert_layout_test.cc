// What becomes of a source's files, of tensors that engines skip, and of its own quantisation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/source_model.h"
#include "tests/support/command.h"
#include "tests/support/read_tensor.h"
#include "tests/support/small_llama.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/tools/convert_fixture.h"

namespace vernier::testing {
namespace {

namespace fs = std::filesystem;

using checkpoint::Checkpoint;
using checkpoint::DType;
namespace formats = checkpoint::formats;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ConvertLayoutTest : public ConvertFixture {
 protected:
  fs::path Small() const { return Place("small"); }

  void WriteSmall(const Json& config, const std::vector<TestTensor>& tensors, int shards = 1) {
    WriteCheckpoint(Small(), config, tensors, shards);
  }

  // What the command prints when it succeeds.
  static std::string Run(const std::vector<std::string>& arguments) {
    const CommandResult result = RunVernier(arguments);
    EXPECT_EQ(result.exit_code, 0)
        << ::testing::PrintToString(arguments) << result.output << result.errors;
    return result.output;
  }
  std::string ConvertSmall(const std::string& output, const std::vector<std::string>& options) {
    std::vector<std::string> arguments = {"convert", Small().string(), Place(output).string()};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return Run(arguments);
  }
  std::string DequantizeSmall(const std::string& output) {
    return Run({"dequantize", Small().string(), Place(output).string()});
  }
  // A recipe of one rule for weights alone.
  std::string Recipe(const Json& rule) const {
    const Json recipe = {{"version", 1},
                         {"source", Small().string()},
                         {"output", Place("unused").string()},
                         {"activations", "none"},
                         {"quantize", Json::array({rule})}};
    WriteFileAtomically(Place("recipe.json"), recipe.dump());
    return Place("recipe.json").string();
  }

  Json Config(const std::string& output) const {
    return ReadJsonFile(Place(output) / "config.json");
  }
  // The manifest's entry for a tensor of the source.
  Json Fate(const std::string& output, const std::string& tensor) const {
    const Json manifest = ReadJsonFile(Place(output) / "vernier_manifest.json");
    for (const Json& entry : manifest["tensors"]) {
      if (entry["name"] == tensor) return entry;
    }
    return nullptr;
  }
};

constexpr const char* kBuffer = "model.layers.0.self_attn.rotary_emb.inv_freq";
constexpr const char* kHead = "lm_head.weight";

class SkippedTensorsTest : public ConvertLayoutTest {
 protected:
  SkippedTensorsTest() {
    Json config = SmallLlamaConfig();
    config["tie_word_embeddings"] = true;
    std::vector<TestTensor> tensors = SmallLlamaTensors();
    tensors.push_back(MakeTensor<float>(kBuffer, DType::kF32, {3}, {1.0f, 0.5f, 0.25f}));
    WriteSmall(config, tensors);
  }
};

TEST_F(SkippedTensorsTest, AreCarriedAndTheManifestSaysWhy) {
  const std::string printed = ConvertSmall("out", {"--weights", "nvfp4", "--validate"});
  EXPECT_THAT(printed, Not(HasSubstr("\nleft out ")));
  const Checkpoint source = Checkpoint::Open(Small());
  const Checkpoint output = Checkpoint::Open(Place("out"));
  for (const char* name : {kBuffer, kHead}) {
    EXPECT_EQ(ReadTensor(output, name), ReadTensor(source, name)) << name;
    EXPECT_EQ(Fate("out", name)["action"], "carried") << name;
    EXPECT_THAT(Fate("out", name)["outputs"], ElementsAre(name));
  }
  EXPECT_EQ(Fate("out", kBuffer)["by"], "kept as released: a buffer that engines compute anew");
  EXPECT_EQ(Fate("out", kHead)["by"], "kept as released: a head that is tied to the embedding");
  EXPECT_EQ(Fate("out", "model.norm.weight")["by"], "no rule matches: kept as released");
}

TEST_F(SkippedTensorsTest, AreListedByInspect) {
  const std::string text = Run({"inspect", Small().string()});
  EXPECT_THAT(text, AllOf(HasSubstr("engines skip model.layers.*.self_attn.rotary_emb.inv_freq (1 "
                                    "tensor): a buffer that engines compute anew"),
                          HasSubstr("engines skip lm_head.weight (1 tensor): a head that is tied "
                                    "to the embedding"),
                          HasSubstr("Not understood: nothing")));
  const Json report = Json::parse(Run({"inspect", Small().string(), "--json"}));
  EXPECT_EQ(report["skipped"].size(), 2u);
  EXPECT_THAT(report["left_out"], IsEmpty());
}

class FilesTest : public ConvertLayoutTest {
 protected:
  // An MTP layer in FP8 beside a model in BF16.
  static Json MtpConfig() {
    Json config = SmallLlamaConfig(
        {{"quant_method", "fp8"}, {"weight_block_size", {kSmallBlock, kSmallBlock}}});
    config["num_nextn_predict_layers"] = 1;
    return config;
  }
  void AddMtpFile() {
    WriteSafetensors(Small() / "mtp.safetensors",
                     BlockFp8(".weight_scale_inv")(kMtp, kSmallHidden, kSmallWide));
  }

  void ExpectMtpDequantised(const std::string& output) {
    EXPECT_TRUE(fs::exists(Place(output) / "mtp.safetensors"));
    const checkpoint::SourceModel source = checkpoint::OpenAnySourceModel(Small());
    const checkpoint::SourceModel plain = checkpoint::OpenAnySourceModel(Place(output));
    EXPECT_EQ(plain.checkpoint.tensors().size(), source.checkpoint.tensors().size() - 1);
    const checkpoint::LogicalWeight* from = source.layout.FindModule(kMtp);
    const checkpoint::LogicalWeight* to = plain.layout.FindModule(kMtp);
    ASSERT_NE(from, nullptr);
    ASSERT_NE(to, nullptr);
    EXPECT_EQ(from->format, formats::kFp8Block);
    EXPECT_EQ(to->format, formats::kPlain);
    const std::vector<float> wanted = ReadWeight(source.checkpoint, *from);
    const std::vector<float> got = ReadWeight(plain.checkpoint, *to);
    for (size_t i = 0; i < wanted.size(); ++i)
      EXPECT_NEAR(got[i], wanted[i], 4e-3 * std::abs(wanted[i]));
    EXPECT_EQ(Fate(output, std::string(kMtp) + ".weight")["action"], "converted");
  }

  static constexpr const char* kMtp = "mtp.layers.0.mlp.down_proj";
};

TEST_F(FilesTest, AFileOfMtpLayersBesideTheModelIsConverted) {
  WriteSmall(MtpConfig(), SmallLlamaTensors());
  AddMtpFile();
  EXPECT_THAT(DequantizeSmall("out"), Not(HasSubstr("\nleft out ")));
  ExpectMtpDequantised("out");
}

TEST_F(FilesTest, AFileOfMtpLayersBesideAnIndexIsConvertedWhereTheyAreAnnounced) {
  WriteSmall(MtpConfig(), SmallLlamaTensors(), /*shards=*/2);
  AddMtpFile();
  EXPECT_THAT(DequantizeSmall("out"), Not(HasSubstr("\nleft out ")));
  ExpectMtpDequantised("out");
  const Json index = ReadJsonFile(Place("out") / "model.safetensors.index.json");
  EXPECT_EQ(index["weight_map"][std::string(kMtp) + ".weight"], "mtp.safetensors");
}

TEST_F(FilesTest, FilesThatEnginesDoNotReadAreLeftOutAndNamed) {
  WriteSmall(SmallLlamaConfig(), SmallLlamaTensors(), /*shards=*/2);
  AddMtpFile();
  WriteSafetensors(Small() / "consolidated.safetensors", SmallLlamaTensors());
  const std::string names = "consolidated.safetensors, mtp.safetensors";
  EXPECT_THAT(ConvertSmall("out", {"--weights", "nvfp4"}), HasSubstr("\nleft out     " + names));
  EXPECT_FALSE(fs::exists(Place("out") / "mtp.safetensors"));
  EXPECT_FALSE(fs::exists(Place("out") / "consolidated.safetensors"));

  const std::string recipe = Recipe({{"role", "attention"}, {"format", "nvfp4"}});
  EXPECT_THAT(Run({"plan", recipe}), HasSubstr("left out          " + names));
  EXPECT_THAT(Json::parse(Run({"plan", recipe, "--json"}))["left_out"],
              ElementsAre("consolidated.safetensors", "mtp.safetensors"));

  EXPECT_THAT(Run({"inspect", Small().string()}),
              HasSubstr("left out, because engines read only the rest: " + names));
  EXPECT_THAT(Json::parse(Run({"inspect", Small().string(), "--json"}))["left_out"],
              ElementsAre("consolidated.safetensors", "mtp.safetensors"));
}

TEST_F(ConvertLayoutTest, ACopyWithKernelLayoutsIsNotOnlyACopy) {
  WriteSmall(SmallLlamaConfig(), SmallLlamaTensors());
  ConvertSmall("nvfp4", {"--weights", "nvfp4"});
  const std::string recipe = Recipe({{"role", "attention"}, {"format", "keep"}});
  Run({"convert", Place("nvfp4").string(), Place("packed").string(), "--recipe", recipe, "--layout",
       "swizzle-128x4"});
  EXPECT_TRUE(fs::exists(Place("packed") / "kernel_layouts/swizzle-128x4/layer-00000.safetensors"));
}

// Where a source says how it is quantised, beside quantization_config.
struct ConfigPlace {
  const char* pointer;
  const char* method;
  const char* scale;
};

class NestedConfigTest : public ConvertLayoutTest,
                         public ::testing::WithParamInterface<ConfigPlace> {
 protected:
  // Of no family, as multimodal models are. The blocks are read only if the configuration is found.
  void WriteNested() {
    Json config = SmallLlamaConfig();
    config["model_type"] = "future";
    config["text_config"] = {{"hidden_size", kSmallHidden}, {"num_hidden_layers", 1}};
    config[Json::json_pointer(GetParam().pointer)] = {
        {"quant_method", GetParam().method}, {"weight_block_size", {kSmallBlock, kSmallBlock}}};
    WriteSmall(config, SmallLlamaTensors(BlockFp8(GetParam().scale)));
  }

  static std::vector<std::string> Places(const Json& config) {
    std::vector<std::string> places;
    for (const char* place :
         {"/quantization_config", "/text_config/quantization_config", "/compression_config"}) {
      if (config.contains(Json::json_pointer(place))) places.emplace_back(place);
    }
    return places;
  }
};

TEST_P(NestedConfigTest, IsReadAndReplaced) {
  WriteNested();
  ConvertSmall("out", {"--weights", "nvfp4", "--input-scale", "1", "--validate"});
  const Json config = Config("out");
  EXPECT_THAT(Places(config), ElementsAre("/quantization_config"));
  EXPECT_EQ(config["quantization_config"]["quant_method"], "modelopt");
  EXPECT_EQ(config["text_config"]["hidden_size"], kSmallHidden);
  const checkpoint::SourceModel output = checkpoint::OpenAnySourceModel(Place("out"));
  const auto* weight = output.layout.FindModule("model.layers.0.mlp.up_proj");
  ASSERT_NE(weight, nullptr);
  EXPECT_EQ(weight->format, formats::kNvfp4);
  EXPECT_LT(WeightError(Small(), Place("out")), 0.02);
  const Json manifest = ReadJsonFile(Place("out") / "vernier_manifest.json");
  std::vector<std::string> patched;
  for (const Json& patch : manifest["config_patches"]) patched.push_back(patch["path"]);
  EXPECT_THAT(patched, ElementsAre(GetParam().pointer, "/quantization_config"));
}

TEST_P(NestedConfigTest, IsRemovedWhenNothingIsQuantisedAnyMore) {
  WriteNested();
  DequantizeSmall("out");
  EXPECT_THAT(Places(Config("out")), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    Places, NestedConfigTest,
    ::testing::Values(ConfigPlace{"/text_config/quantization_config", "fp8", ".weight_scale_inv"},
                      ConfigPlace{"/compression_config", "compressed-tensors", ".weight_scale"}),
    [](const auto& info) { return info.index == 0 ? "TextConfig" : "CompressionConfig"; });

// The model's own configuration goes on where it stands, alone.
TEST_F(ConvertLayoutTest, ANestedNativeConfigurationThatStaysIsTheOnlyOne) {
  Json config = SmallLlamaConfig();
  config["model_type"] = "future";
  config["text_config"] = {
      {"quantization_config",
       {{"quant_method", "fp8"}, {"weight_block_size", {kSmallBlock, kSmallBlock}}}}};
  config["compression_config"] = {{"quant_method", "fp8"}};
  WriteSmall(config, SmallLlamaTensors(BlockFp8(".weight_scale_inv")));
  ConvertSmall("out", {"--recipe", Recipe({{"role", "attention"}, {"format", "bf16"}})});
  const Json written = Config("out");
  EXPECT_FALSE(written.contains("quantization_config"));
  EXPECT_FALSE(written.contains("compression_config"));
  const Json& native = written["text_config"]["quantization_config"];
  EXPECT_EQ(native["quant_method"], "fp8");
  EXPECT_EQ(native["modules_to_not_convert"].size(), 4u) << native;
}

class StaticFp8Test : public ConvertLayoutTest {
 protected:
  StaticFp8Test() {
    WriteSmall(SmallLlamaConfig({{"quant_method", "fp8"}, {"activation_scheme", "static"}}),
               SmallLlamaTensors(StaticFp8));
  }
  static constexpr const char* kModule = "model.layers.0.mlp.up_proj";
  static std::string Part(const char* suffix) { return kModule + std::string(suffix); }
};

TEST_F(StaticFp8Test, IsDequantisedExactly) {
  DequantizeSmall("out");
  EXPECT_EQ(WeightError(Small(), Place("out")), 0.0);
  const Checkpoint output = Checkpoint::Open(Place("out"));
  EXPECT_EQ(output.tensors().size(), SmallLlamaTensors().size());
  EXPECT_EQ(Fate("out", Part(".weight_scale_inv"))["action"], "converted");
  EXPECT_EQ(Fate("out", Part(".activation_scale"))["action"], "dropped");
  EXPECT_FALSE(Config("out").contains("quantization_config"));
}

TEST_F(StaticFp8Test, ItsInputScalesAreReplaced) {
  ConvertSmall("out", {"--weights", "nvfp4", "--input-scale", "1", "--validate"});
  EXPECT_LT(WeightError(Small(), Place("out")), 0.02);
  const Checkpoint output = Checkpoint::Open(Place("out"));
  EXPECT_NE(output.Find(Part(".input_scale")), Checkpoint::kNotFound);
  for (const char* suffix : {".activation_scale", ".weight_scale_inv"}) {
    EXPECT_EQ(output.Find(Part(suffix)), Checkpoint::kNotFound) << suffix;
  }
  EXPECT_EQ(Fate("out", Part(".activation_scale"))["action"], "dropped");
  EXPECT_THAT(Fate("out", Part(".activation_scale"))["outputs"], IsEmpty());
}

TEST_F(StaticFp8Test, AreCarriedWithWeightsThatStay) {
  ConvertSmall("out", {"--recipe", Recipe({{"role", "attention"}, {"format", "bf16"}})});
  const Checkpoint source = Checkpoint::Open(Small());
  const Checkpoint output = Checkpoint::Open(Place("out"));
  for (const char* suffix : {".weight", ".weight_scale_inv", ".activation_scale"}) {
    EXPECT_EQ(ReadTensor(output, Part(suffix)), ReadTensor(source, Part(suffix))) << suffix;
  }
  const std::string attention = "model.layers.0.self_attn.q_proj.activation_scale";
  EXPECT_EQ(output.Find(attention), Checkpoint::kNotFound);
  EXPECT_EQ(Config("out")["quantization_config"]["activation_scheme"], "static");
}

TEST_F(StaticFp8Test, InspectReadsItsScales) {
  const Json report = Json::parse(Run({"inspect", Small().string(), "--json"}));
  EXPECT_EQ(report["formats"][0]["scales"], "BF16 per tensor") << report["formats"];
  EXPECT_THAT(report["not_understood"], IsEmpty());
  EXPECT_THAT(report["notes"], IsEmpty());
}

}  // namespace
}  // namespace vernier::testing

// quantization_config and hf_quant_config.json in ModelOpt's dialect, field by field.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tests/export/export_config_fixture.h"

namespace vernier::exporter {
namespace {

using checkpoint::Format;
using checkpoint::Role;
using recipes::ActivationScales;
using recipes::Dialect;
namespace formats = checkpoint::formats;
using testing::HfFormat;

constexpr std::string_view kProducer = R"({"name": "modelopt", "version": "vernier-1.2"})";

TEST_F(ConfigFormatsTest, ModeloptNvfp4) {
  const OutputConfigs configs =
      Converted(Model(), formats::kNvfp4, &dialects::kModelopt, ActivationScales::kConstant);
  const std::string operand = R"({"dynamic": false, "group_size": 16, "num_bits": 4,
                                  "type": "float"})";
  EXPECT_EQ(configs.config["quantization_config"].dump(), Parsed(R"({
    "config_groups": {"group_0": {"input_activations": )" + operand +
                                                                 R"(, "targets": ["Linear"],
                                  "weights": )" + operand + R"(}},
    "group_size": 16,
    "ignore": ["*.mlp.gate", "lm_head", "model.layers.2.*"],
    "producer": )" + std::string(kProducer) + R"(,
    "quant_algo": "NVFP4", "quant_method": "modelopt"})")
                                                              .dump());
  // The fields of nvidia/Qwen3-235B-A22B-NVFP4's file, in its order.
  EXPECT_EQ(configs.hf_quant_config.dump(), Parsed(R"({
    "producer": )" + std::string(kProducer) + R"(,
    "quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": null, "group_size": 16,
                     "exclude_modules": ["*.mlp.gate", "lm_head", "model.layers.2.*"]}})")
                                                .dump());
  ASSERT_EQ(configs.patches.size(), 1u);
  EXPECT_EQ(configs.patches[0].path, "/quantization_config");
  EXPECT_TRUE(configs.patches[0].before.is_null());
}

TEST_F(ConfigFormatsTest, ModeloptSingleFormats) {
  struct Case {
    Format format;
    ActivationScales activations;
    const char* algo;
    const char* group;  // of config_groups, without targets
  };
  const std::vector<Case> cases = {
      {formats::kNvfp4, ActivationScales::kNone, "W4A16_NVFP4",
       R"({"weights": {"dynamic": false, "group_size": 16, "num_bits": 4, "type": "float"}})"},
      {formats::kFp8Tensor, ActivationScales::kConstant, "FP8",
       R"({"input_activations": {"dynamic": false, "num_bits": 8, "type": "float"},
           "weights": {"dynamic": false, "num_bits": 8, "type": "float"}})"},
      {formats::kFp8Channel, ActivationScales::kNone, "FP8_PER_CHANNEL_PER_TOKEN",
       R"({"input_activations": {"dynamic": false, "num_bits": 8, "type": "float"},
           "weights": {"dynamic": false, "num_bits": 8, "type": "float",
                       "strategy": "channel"}})"},
      {formats::kFp8Block, ActivationScales::kNone, "fp8_pb_wo",
       R"({"weights": {"dynamic": false, "num_bits": 8, "type": "float"}})"},
      {formats::kMxfp8, ActivationScales::kNone, "MXFP8",
       R"({"input_activations": {"dynamic": false, "group_size": 32, "num_bits": 8,
                                 "type": "float"},
           "weights": {"dynamic": false, "group_size": 32, "num_bits": 8, "type": "float"}})"},
      {formats::kMxfp4, ActivationScales::kNone, "mxfp4",
       R"({"weights": {"dynamic": false, "group_size": 32, "num_bits": 4, "type": "float"}})"}};
  const checkpoint::SourceModel source = Model();
  for (const Case& expected : cases) {
    const OutputConfigs configs =
        ConvertedButExperts(source, expected.format, &dialects::kModelopt, expected.activations);
    Json flat = configs.config["quantization_config"];
    const Json& nested = configs.hf_quant_config["quantization"];
    EXPECT_EQ(flat["quant_algo"], expected.algo);
    EXPECT_EQ(nested["quant_algo"], expected.algo);
    EXPECT_EQ(flat["ignore"], nested["exclude_modules"]);
    EXPECT_EQ(flat.contains("group_size"), nested.contains("group_size"));
    Json group = flat["config_groups"]["group_0"];
    EXPECT_EQ(group["targets"], Json::array({"Linear"}));
    group.erase("targets");
    EXPECT_EQ(Unordered(group), Unordered(Parsed(expected.group))) << expected.algo;
  }
}

TEST_F(ConfigFormatsTest, ModeloptMixedNamesEveryModule) {
  const OutputConfigs configs = Configs(
      Model(),
      RecipeOf({{Role::kAttention, formats::kFp8Tensor}, {Role::kRoutedExpert, formats::kNvfp4}}));
  const Json& flat = configs.config["quantization_config"];
  EXPECT_EQ(flat["quant_algo"], "MIXED_PRECISION");
  EXPECT_EQ(flat["quant_method"], "modelopt");
  EXPECT_FALSE(flat.contains("group_size"));
  const Json& layers = flat["quantized_layers"];
  EXPECT_EQ(layers.size(), 9u);
  EXPECT_EQ(layers["model.layers.0.self_attn.q_proj"], Parsed(R"({"quant_algo": "FP8"})"));
  EXPECT_EQ(layers["model.layers.1.mlp.experts"],
            Parsed(R"({"group_size": 16, "quant_algo": "NVFP4"})"));
  EXPECT_EQ(flat["config_groups"]["group_0"]["targets"],
            Json::array({"model.layers.1.mlp.experts"}));
  EXPECT_EQ(flat["config_groups"]["group_1"]["targets"].size(), 8u);
  // gate_proj and up_proj are one matrix to engines, which look for both names.
  EXPECT_EQ(flat["ignore"], Json::array({"*.mlp.down_proj", "*.mlp.gate", "*.mlp.shared_experts.*",
                                         "lm_head", "model.layers.0.mlp.gate_proj",
                                         "model.layers.0.mlp.up_proj", "model.layers.2.*"}));
  const Json& nested = configs.hf_quant_config["quantization"];
  EXPECT_EQ(nested["quantized_layers"], layers);
  EXPECT_EQ(nested["exclude_modules"], flat["ignore"]);
}

TEST_F(ConfigFormatsTest, KeptModeloptWeightsAreDescribedWithTheNewOnes) {
  const OutputConfigs configs = Configs(Model({.format = HfFormat::kModelopt}),
                                        RecipeOf({{Role::kAttention, formats::kFp8Tensor}}));
  const Json& layers = configs.config["quantization_config"]["quantized_layers"];
  EXPECT_EQ(layers["model.layers.0.self_attn.o_proj"]["quant_algo"], "FP8");
  EXPECT_EQ(layers["model.layers.0.mlp.down_proj"]["quant_algo"], "NVFP4");
}

TEST_F(ConfigFormatsTest, DeepseekV4HybridHasTheseVeryBytes) {
  const OutputConfigs configs =
      Configs(DeepseekV4(), RecipeOf({{Role::kRoutedExpert, formats::kNvfp4}}));
  const std::string operand = R"({"dynamic":false,"group_size":16,"num_bits":4,"type":"float"})";
  const std::string layers = R"({"layers.0.ffn.experts":{"group_size":16,"quant_algo":"NVFP4"},)"
                             R"("layers.1.ffn.experts":{"group_size":16,"quant_algo":"NVFP4"}})";
  const std::string ignore = R"(["*.attn.*","*.ffn.shared_experts.*","head","mtp.*"])";
  const std::string producer = R"({"name":"modelopt","version":"vernier-1.2"})";
  EXPECT_EQ(configs.config["quantization_config"].dump(),
            R"({"activation_scheme":"dynamic","fmt":"e4m3","quant_method":"fp8",)"
            R"("scale_fmt":"ue8m0","weight_block_size":[128,128],"moe_quant_algo":"NVFP4",)"
            R"("quant_algo":"MIXED_PRECISION","kv_cache_quant_algo":null,"group_size":16,)"
            R"("config_groups":{"group_0":{"input_activations":)" +
                operand + R"(,"targets":["Linear"],"weights":)" + operand +
                R"(}},"quantized_layers":)" + layers + R"(,"ignore":)" + ignore +
                R"(,"producer":)" + producer + "}");
  EXPECT_EQ(configs.hf_quant_config.dump(),
            R"({"producer":)" + producer +
                R"(,"quantization":{"quant_algo":"MIXED_PRECISION","kv_cache_quant_algo":null,)"
                R"("group_size":16,"quantized_layers":)" +
                layers + R"(,"exclude_modules":)" + ignore + "}}");
  EXPECT_EQ(configs.config["expert_dtype"], "fp4");
}

TEST_F(ConfigFormatsTest, DeepseekV4ExpertsInFp8BlocksNeedOnlyTheirDtype) {
  const checkpoint::SourceModel source = DeepseekV4();
  recipes::Recipe recipe = RecipeOf({{Role::kRoutedExpert, formats::kFp8Block}});
  recipe.activations = ActivationScales::kNone;
  const OutputConfigs configs = Configs(source, recipe);
  Json expected = source.checkpoint.config();
  expected["expert_dtype"] = "fp8";
  EXPECT_EQ(configs.config.dump(), expected.dump());
  EXPECT_TRUE(configs.hf_quant_config.is_null());
}

TEST_F(ConfigFormatsTest, DequantisedModelsHaveNoQuantisationConfig) {
  const checkpoint::SourceModel source = DeepseekV4();
  const OutputConfigs configs = Configs(source, recipes::DequantizeRecipe(source, "out"));
  Json expected = source.checkpoint.config();
  expected.erase("quantization_config");
  expected.erase("expert_dtype");
  EXPECT_EQ(configs.config.dump(), expected.dump());
  EXPECT_TRUE(configs.hf_quant_config.is_null());
  ASSERT_EQ(configs.patches.size(), 2u);
  EXPECT_TRUE(configs.patches[0].after.is_null());
}

TEST_F(ConfigFormatsTest, APartDequantisedIsListedInTheNativeConfig) {
  recipes::Recipe recipe = RecipeOf({{Role::kAttention, formats::kBf16}});
  recipe.activations = ActivationScales::kNone;
  const OutputConfigs configs = Configs(Model({.format = HfFormat::kNativeFp8}), recipe);
  const Json& quantization = configs.config["quantization_config"];
  EXPECT_EQ(quantization["quant_method"], "fp8");
  EXPECT_EQ(quantization["modules_to_not_convert"].size(), 8u);
  EXPECT_EQ(quantization["modules_to_not_convert"][0], "model.layers.0.self_attn.k_proj");
  EXPECT_TRUE(configs.hf_quant_config.is_null());
}

TEST_F(ConfigFormatsTest, ACarriedModelKeepsBothConfigs) {
  const checkpoint::SourceModel source = Model({.format = HfFormat::kModelopt});
  const OutputConfigs configs = Configs(source, {});
  EXPECT_EQ(configs.config.dump(), source.checkpoint.config().dump());
  EXPECT_EQ(configs.hf_quant_config["quantization"]["quant_algo"], "NVFP4");
  EXPECT_TRUE(configs.patches.empty());
  EXPECT_TRUE(Configs(Model(), {}).hf_quant_config.is_null());
}

TEST_F(ConfigFormatsTest, AnExtensionCanBeTakenBack) {
  const checkpoint::SourceModel source = DeepseekV4();
  const Json native = source.checkpoint.config()["quantization_config"];
  const recipes::Recipe recipe = RecipeOf({{Role::kRoutedExpert, formats::kNvfp4}});
  const Json extended = Configs(source, recipe).config;
  const dialects::ModuleFormats native_only(source.layout.weights.size());
  EXPECT_EQ(dialects::kNative
                .make_config({.source = source,
                              .config = extended,
                              .formats = native_only,
                              .dequantised = {},
                              .version = "1.2"})
                .config.dump(),
            native.dump());
}

TEST_F(ConfigFormatsTest, ATiedHeadIsNotQuantised) {
  const checkpoint::SourceModel source = Model({.tied_head = true});
  for (const Dialect dialect : {&dialects::kModelopt, &dialects::kCompressedTensors}) {
    const OutputConfigs configs = Converted(source, formats::kMxfp8, dialect);
    EXPECT_THAT(configs.config["quantization_config"]["ignore"].get<std::vector<std::string>>(),
                ::testing::Contains("lm_head"));
  }
}

// The peers' own files: ModelOpt's and llm-compressor's Llama in NVFP4 with an FP8 cache.
TEST_F(ConfigFormatsTest, AnFp8CacheIsAnnouncedAsThePeersDo) {
  const std::filesystem::path peers = std::filesystem::path(VERNIER_TEST_DATA) / "peers";
  const checkpoint::SourceModel source = Model();
  for (const recipes::KvCache kv_cache : {recipes::KvCache::kFp8, recipes::KvCache::kFp8Cast}) {
    recipes::Recipe recipe = recipes::ConvertRecipe({.source = source, .output = "out"});
    recipe.kv_cache = kv_cache;
    const OutputConfigs modelopt = Configs(source, recipe);
    const Json flat = ReadJsonFile(peers / "modelopt_nvfp4_kv_fp8/config.json");
    EXPECT_EQ(Unordered(modelopt.config["quantization_config"]["kv_cache_scheme"]),
              Unordered(flat["quantization_config"]["kv_cache_scheme"]));
    const Json nested = ReadJsonFile(peers / "modelopt_nvfp4_kv_fp8/hf_quant_config.json");
    EXPECT_EQ(modelopt.hf_quant_config["quantization"]["kv_cache_quant_algo"],
              nested["quantization"]["kv_cache_quant_algo"]);

    recipe.dialect = &dialects::kCompressedTensors;
    const Json own = Configs(source, recipe).config["quantization_config"]["kv_cache_scheme"];
    const Json theirs = ReadJsonFile(peers / "llmcompressor_nvfp4_kv_fp8/config.json");
    for (const auto& [field, value] : theirs["quantization_config"]["kv_cache_scheme"].items()) {
      EXPECT_EQ(own[field], value) << field;
    }
  }
}

TEST_F(ConfigFormatsTest, CarriedKvScalesAreAnnounced) {
  const checkpoint::SourceModel source = Model({.kv_scales = true});
  const OutputConfigs modelopt = Converted(source, formats::kMxfp8, &dialects::kModelopt);
  EXPECT_EQ(modelopt.hf_quant_config["quantization"]["kv_cache_quant_algo"], "FP8");
  EXPECT_EQ(modelopt.config["quantization_config"]["kv_cache_scheme"]["num_bits"], 8);
  const OutputConfigs other = Converted(source, formats::kMxfp8, &dialects::kCompressedTensors);
  EXPECT_EQ(other.config["quantization_config"]["kv_cache_scheme"]["strategy"], "tensor");
}

}  // namespace
}  // namespace vernier::exporter

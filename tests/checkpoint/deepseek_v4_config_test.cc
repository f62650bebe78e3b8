#include "checkpoint/families/deepseek_v4_config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "checkpoint/families/deepseek_v4_patches.h"
#include "checkpoint/families/family.h"
#include "tests/support/expect_error.h"

namespace vernier::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::filesystem::path kData = VERNIER_TEST_DATA;

Json Tiny() { return ReadJsonFile(kData / "models/tiny-deepseek-v4/config.json"); }
Json Published(const std::string& name) { return ReadJsonFile(kData / "configs" / name); }

std::vector<int64_t> RatiosOf(const DeepseekV4Config& config) {
  std::vector<int64_t> ratios;
  for (const DeepseekV4Block& block : config.blocks) ratios.push_back(block.compress_ratio);
  return ratios;
}

void ExpectTiny(const DeepseekV4Config& config) {
  EXPECT_EQ(config.vocab_size, 1024);
  EXPECT_EQ(config.hidden_size, 128);
  EXPECT_EQ(config.layers(), 5);
  EXPECT_EQ(config.num_attention_heads, 4);
  EXPECT_EQ(config.qk_rope_head_dim, 32);
  EXPECT_EQ(std::ranges::count_if(config.blocks, &DeepseekV4Block::hashes), 2);
  EXPECT_EQ(config.n_routed_experts, 8);
  EXPECT_EQ(config.num_nextn_predict_layers, 1);
  EXPECT_EQ(config.rope_theta, 10000);
  EXPECT_EQ(config.compress_rope_theta, 160000);
  EXPECT_EQ(config.yarn.factor, 16);
  EXPECT_EQ(config.yarn.original_max_position_embeddings, 65536);
  EXPECT_EQ(config.swiglu_limit, 10.0);
  EXPECT_TRUE(config.norm_topk_prob);
  EXPECT_THAT(RatiosOf(config), ElementsAre(0, 128, 4, 128, 4));
}

TEST(DeepseekV4Config, ReadsBothForms) {
  ExpectTiny(ParseDeepseekV4Config(Tiny()));
  ExpectTiny(ParseDeepseekV4Config(Published("deepseek_v4_transformers5.json")));
}

TEST(DeepseekV4Config, ReadsTheReleasedModels) {
  const DeepseekV4Config flash = ParseDeepseekV4Config(Published("deepseek_v4_flash.json"));
  EXPECT_EQ(flash.layers(), 43);
  const DeepseekV4Config pro = ParseDeepseekV4Config(Published("deepseek_v4_pro.json"));
  EXPECT_EQ(pro.n_routed_experts, 384);
  EXPECT_EQ(pro.o_groups, 16);
}

TEST(DeepseekV4Config, RefusesMoreExpertsThanCouldBeListed) {
  Json config = Tiny();
  config["n_routed_experts"] = 12'000;
  EXPECT_EQ(ParseDeepseekV4Config(config).n_routed_experts, 12'000);
  config["num_nextn_predict_layers"] = 6;
  EXPECT_VERNIER_ERROR(ParseDeepseekV4Config(config), ErrorCode::kBadConfig,
                       "12000 in each of 11 layers");
}

TEST(DeepseekV4Config, RefusesAPartOfTheHeadThatIsNoSize) {
  Json config = Tiny();
  config.erase("qk_rope_head_dim");
  config["partial_rotary_factor"] = 1e300;
  EXPECT_VERNIER_ERROR(ParseDeepseekV4Config(config), ErrorCode::kBadConfig,
                       "partial_rotary_factor");
}

TEST(DeepseekV4Config, AbsentScalingMeansNone) {
  Json config = Tiny();
  config.erase("rope_scaling");
  EXPECT_EQ(ParseDeepseekV4Config(config).yarn.factor, 1.0);
}

struct BadField {
  const char* field;
  Json value;
};

class BadConfigField : public ::testing::TestWithParam<BadField> {};

TEST_P(BadConfigField, IsNamed) {
  Json config = Tiny();
  config[GetParam().field] = GetParam().value;
  EXPECT_VERNIER_ERROR(ParseDeepseekV4Config(config), ErrorCode::kBadConfig, GetParam().field);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadConfigField,
    ::testing::Values(BadField{"hidden_size", nullptr}, BadField{"hidden_size", "128"},
                      BadField{"hidden_size", 128.5}, BadField{"hidden_size", -1},
                      BadField{"hidden_size", 0}, BadField{"vocab_size", uint64_t{1} << 63},
                      BadField{"num_hidden_layers", 1'000'000'000}, BadField{"o_groups", 3},
                      BadField{"qk_rope_head_dim", 31}, BadField{"qk_rope_head_dim", 256},
                      BadField{"qk_rope_head_dim", 96}, BadField{"num_experts_per_tok", 9},
                      BadField{"num_hash_layers", 6}, BadField{"rms_norm_eps", 0},
                      BadField{"swiglu_limit", -1.0}, BadField{"norm_topk_prob", 1},
                      BadField{"scoring_func", "softmax"}, BadField{"num_key_value_heads", 2},
                      BadField{"tie_word_embeddings", true}, BadField{"compress_ratios", nullptr},
                      BadField{"compress_ratios", 4},
                      BadField{"compress_ratios", Json::array({0, 128, 4, 128})},
                      BadField{"compress_ratios", Json::array({0, 128, 4, 128, 8, 0})},
                      BadField{"compress_ratios", Json::array({0, 128, 4, 128, "4", 0})},
                      BadField{"rope_theta", nullptr}, BadField{"rope_scaling", 16},
                      BadField{"rope_scaling", Json({{"type", "linear"}, {"factor", 2}})},
                      BadField{"rope_scaling", Json({{"type", "yarn"}, {"factor", 2}})}));

TEST(DeepseekV4Config, RopeParametersAloneMustBeNested) {
  Json config = Tiny();
  config["rope_parameters"] = config["rope_scaling"];
  config.erase("rope_scaling");
  EXPECT_VERNIER_ERROR(ParseDeepseekV4Config(config), ErrorCode::kBadConfig, "rope_parameters");
}

// For comparing objects whatever the order of their keys.
nlohmann::json Unordered(const Json& json) { return nlohmann::json::parse(json.dump()); }

// The patches by path.
std::map<std::string, ConfigPatch> Patch(Json& config) {
  std::map<std::string, ConfigPatch> by_path;
  for (ConfigPatch& patch : PatchDeepseekV4Config(config)) {
    const std::string path = patch.path;
    EXPECT_FALSE(patch.reason.empty());
    EXPECT_TRUE(by_path.emplace(path, std::move(patch)).second) << path;
  }
  return by_path;
}

TEST(DeepseekV4Patches, LeaveReleasedConfigsAlone) {
  for (const char* name :
       {"deepseek_v4_flash.json", "deepseek_v4_pro.json", "deepseek_v4_flash_nvfp4.json"}) {
    Json config = Published(name);
    const Json before = config;
    EXPECT_THAT(PatchDeepseekV4Config(config), IsEmpty()) << name;
    EXPECT_EQ(config, before);
  }
}

TEST(DeepseekV4Patches, BringTransformers5BackToTheReleasedForm) {
  const Json released = Tiny();
  Json config = Published("deepseek_v4_transformers5.json");
  const auto patches = Patch(config);
  for (const char* key : {"compress_ratios", "num_hash_layers", "qk_rope_head_dim", "rope_theta",
                          "compress_rope_theta", "rope_scaling"}) {
    EXPECT_EQ(Unordered(config.at(key)), Unordered(released.at(key))) << key;
  }
  EXPECT_FALSE(config.contains("rope_parameters"));
  EXPECT_EQ(patches.at("/compress_ratios").before, Json());
  EXPECT_EQ(patches.at("/compress_ratios").after, released.at("compress_ratios"));
  EXPECT_EQ(patches.at("/num_hash_layers").after, 2);
  EXPECT_EQ(patches.at("/rope_parameters").after, Json());
  EXPECT_TRUE(patches.at("/rope_parameters").before.contains("compress"));
  // What was right already is not recorded.
  EXPECT_FALSE(patches.contains("/rope_theta"));
  EXPECT_FALSE(patches.contains("/qk_rope_head_dim"));
  EXPECT_FALSE(patches.contains("/quantization_config/scale_fmt"));
  // Once is enough.
  EXPECT_THAT(PatchDeepseekV4Config(config), IsEmpty());
}

TEST(DeepseekV4Patches, FlattenNestedRopeScaling) {
  Json config = Tiny();
  const Json flat = config["rope_scaling"];
  Json compress = flat;
  compress["rope_theta"] = 150000;
  config["rope_scaling"] = {{"main", {{"rope_type", "default"}, {"rope_theta", 20000}}},
                            {"compress", compress}};
  const auto patches = Patch(config);
  EXPECT_EQ(patches.size(), 3u);
  EXPECT_EQ(patches.at("/rope_theta").before, 10000);
  EXPECT_EQ(patches.at("/rope_theta").after, 20000);
  EXPECT_EQ(config["compress_rope_theta"], 150000);
  EXPECT_EQ(config["rope_scaling"].size(), flat.size());
  for (const auto& [key, value] : flat.items()) EXPECT_EQ(config["rope_scaling"][key], value);
}

TEST(DeepseekV4Patches, UnscaledCompressPartRemovesRopeScaling) {
  Json config = Tiny();
  config["rope_scaling"] = {{"main", {{"rope_theta", 10000}}},
                            {"compress", {{"rope_type", "default"}, {"rope_theta", 160000}}}};
  const auto patches = Patch(config);
  EXPECT_EQ(patches.size(), 1u);
  EXPECT_EQ(patches.at("/rope_scaling").after, Json());
  EXPECT_FALSE(config.contains("rope_scaling"));
}

TEST(DeepseekV4Patches, ScaleFormatOnlyBesideFp4Experts) {
  Json config = Tiny();
  config["quantization_config"].erase("scale_fmt");
  Json fp8_experts = config;
  fp8_experts["expert_dtype"] = "fp8";
  Json moved = config;  // as V4.1 has it
  moved.erase("expert_dtype");
  moved["quantization_config"]["expert_dtype"] = "fp4";

  EXPECT_EQ(Patch(config).at("/quantization_config/scale_fmt").after, "ue8m0");
  EXPECT_EQ(config["quantization_config"]["scale_fmt"], "ue8m0");
  EXPECT_THAT(Patch(fp8_experts), IsEmpty());
  EXPECT_EQ(Patch(moved).size(), 1u);
}

TEST(DeepseekV4Patches, HonourCompressRates) {
  Json config = Published("deepseek_v4_transformers5.json");
  config["compress_rates"]["heavily_compressed_attention"] = 64;
  EXPECT_VERNIER_ERROR(ParseDeepseekV4Config(config), ErrorCode::kBadConfig, "64");
  config["compress_rate_hca"] = 128;  // the older field wins, as in transformers
  ExpectTiny(ParseDeepseekV4Config(config));
}

TEST(DeepseekV4Patches, RefuseWhatMakesNoSense) {
  const Json source = Published("deepseek_v4_transformers5.json");
  Json config = source;
  config["layer_types"][1] = "full_attention";
  EXPECT_VERNIER_ERROR(ParseDeepseekV4Config(config), ErrorCode::kBadConfig, "full_attention");
  config = source;
  config["layer_types"].erase(4);
  EXPECT_VERNIER_ERROR(ParseDeepseekV4Config(config), ErrorCode::kBadConfig, "layer_types");
  config = source;
  config["mlp_layer_types"][3] = "hash_moe";
  EXPECT_VERNIER_ERROR(ParseDeepseekV4Config(config), ErrorCode::kBadConfig, "mlp_layer_types");
  config = source;
  config["rope_parameters"]["compress"]["rope_type"] = "llama3";
  EXPECT_VERNIER_ERROR(ParseDeepseekV4Config(config), ErrorCode::kBadConfig, "llama3");
}

}  // namespace
}  // namespace vernier::checkpoint

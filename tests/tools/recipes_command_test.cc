// vernier recipes, and commands that are asked for a shipped recipe.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "tests/support/command.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/model_runs.h"

namespace vernier::tools {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using ::vernier::testing::CommandResult;
using ::vernier::testing::RunVernier;
using ::vernier::testing::TempDir;

std::string Model(const char* name) {
  return (fs::path(VERNIER_TEST_DATA) / "models" / name).string();
}

Json RunJson(const std::vector<std::string>& arguments) {
  const CommandResult result = RunVernier(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  return ParseJson(result.output, "output");
}

TEST(RecipesCommand, ListsAllWithTheirModels) {
  const CommandResult result = RunVernier({"recipes"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("qwen3.5-moe-nvfp4-fp8"));
  EXPECT_THAT(result.output, HasSubstr("as NVIDIA publishes Qwen3.5-397B-A17B"));
  const Json json = RunJson({"recipes", "--json"});
  EXPECT_TRUE(json["default"].is_null());
  EXPECT_EQ(json["recipes"][0]["models"], Json::array({"deepseek_v4"}));
}

TEST(RecipesCommand, NamesThoseThatFit) {
  const std::string model = Model("tiny-deepseek-v3");
  const Json json = RunJson({"recipes", model, "--json"});
  EXPECT_EQ(json["default"].get<std::string>(), "deepseek-v3-nvfp4");
  EXPECT_EQ(json["recipes"][0]["name"].get<std::string>(), "deepseek-v3-nvfp4");
  const CommandResult result = RunVernier({"recipes", model});
  EXPECT_THAT(result.output, Not(HasSubstr("deepseek-v4")));
  EXPECT_THAT(result.output, HasSubstr("vernier run " + model + " OUTPUT"));
}

TEST(RecipesCommand, APlanTakesTheDefaultAndSaysWhich) {
  TempDir directory;
  const std::string output = (directory.path() / "out").string();
  const CommandResult result = RunVernier({"plan", Model("tiny-qwen3-moe"), output});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, StartsWith("qwen3-moe-nvfp4: "));
  EXPECT_THAT(result.output, HasSubstr("output  " + output));
  const Json json = RunJson({"plan", Model("tiny-qwen3-moe"), output, "--json"});
  EXPECT_EQ(json["recipe"].get<std::string>(), "qwen3-moe-nvfp4");
}

TEST(RecipesCommand, ARunTakesAShippedRecipeByName) {
  TempDir directory;
  const fs::path output = directory.path() / "out";
  const CommandResult result =
      RunVernier({"run", "mxfp8", "--source", Model("tiny-llama"), "--output", output.string()});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("recipe       mxfp8: "));
  EXPECT_TRUE(fs::exists(output / "config.json"));
}

TEST(RecipesCommand, AskForWhatIsLeftOpen) {
  TempDir directory;
  const CommandResult no_data =
      RunVernier({"run", Model("tiny-qwen3-moe"), (directory.path() / "out").string()});
  EXPECT_EQ(no_data.exit_code, 1);
  EXPECT_THAT(no_data.errors, HasSubstr("needs --data"));
  const CommandResult nothing = RunVernier({"run", "nvfp4"});
  EXPECT_THAT(nothing.errors, HasSubstr("needs --source, --output, --data"));
}

TEST(RecipesCommand, WordsBehindDataAreData) {
  TempDir directory;
  const CommandResult result =
      RunVernier({"run", Model("tiny-qwen3-moe"), "--data", "text.jsonl", "out"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.errors, HasSubstr("needs --output. Give that; all words behind --data"));
}

TEST(RecipesCommand, AMisspeltNameIsSaidToBeOne) {
  const CommandResult result = RunVernier({"run", "nvfp-mlp"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.errors, HasSubstr("VN-ARG-001: \"nvfp-mlp\""));
  EXPECT_THAT(result.errors, HasSubstr("did you mean nvfp4-mlp?"));
}

TEST(RecipesCommand, AConversionTakesAShippedRecipe) {
  TempDir directory;
  const std::string output = (directory.path() / "out").string();
  EXPECT_EQ(RunVernier({"convert", Model("tiny-llama"), output, "--recipe", "mxfp8"}).exit_code, 0);
}

// The default is the first that was made for a model, not whatever can still be done to it.
TEST(RecipesCommand, AQuantisedCheckpointHasNoDefault) {
  TempDir directory;
  const std::string quantised = (directory.path() / "q").string();
  ASSERT_EQ(RunVernier({"convert", Model("tiny-llama"), quantised, "--weights", "nvfp4"}).exit_code,
            0);
  const CommandResult listed = RunVernier({"recipes", quantised});
  EXPECT_THAT(listed.output, HasSubstr("None is taken by default"));
  const CommandResult planned =
      RunVernier({"plan", quantised, (directory.path() / "out").string()});
  EXPECT_EQ(planned.exit_code, 1);
  EXPECT_THAT(planned.errors, HasSubstr("does not fit the recipe nvfp4 that"));
}

#if VERNIER_TEST_WITH_TORCH
TEST(RecipesCommand, ARunOfACheckpointCalibratesByItsDefault) {
  TempDir directory;
  const fs::path output = directory.path() / "out";
  const fs::path data = directory.path() / "ids.jsonl";
  WriteFileAtomically(data, R"({"input_ids": [5, 9, 2, 7, 1, 8, 3, 4, 6, 9, 5, 2, 8, 1, 7, 3]})");
  const CommandResult result =
      RunVernier({"run", Model("tiny-deepseek-v4"), output.string(), "--data", data.string(),
                  "--samples", "1", "--sequence-length", "16"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("recipe       deepseek-v4-nvfp4-experts: "));
  EXPECT_TRUE(fs::exists(output / "hf_quant_config.json"));
}

using RuleActivationsTest = ::vernier::testing::ModelRunTest;

// W4A16 beside FP8 with calibrated inputs: the configuration tells engines which is which, and the
// audit of the run finds all as it says.
TEST_F(RuleActivationsTest, StandBesideEachOtherInOneOutput) {
  Run(ArgumentsOfRun({.name = "mixed",
                      .model = "tiny-qwen3-moe",
                      .quantize = ParseJson(R"([{"role": "attention", "format": "fp8"},
           {"role": ["dense_mlp", "routed_expert"], "format": "nvfp4", "scale": "mse",
            "activations": "none"},
           {"role": "lm_head", "format": "nvfp4", "scale": "mse", "activations": 0.5}])",
                                            "rules")},
                     {}));
  const Json config =
      ParseJson(ReadWholeFile(fs::path(Place("mixed", "out")) / "hf_quant_config.json"), "config");
  const Json& quantization = config["quantization"];
  EXPECT_EQ(quantization["quant_algo"].get<std::string>(), "MIXED_PRECISION");
  const Json& layers = quantization["quantized_layers"];
  const auto algo = [&](const char* module) {
    return layers.at(module)["quant_algo"].get<std::string>();
  };
  EXPECT_EQ(algo("model.layers.1.self_attn.q_proj"), "FP8");
  EXPECT_EQ(algo("model.layers.0.mlp.down_proj"), "W4A16_NVFP4");
  EXPECT_EQ(algo("model.layers.1.mlp.experts"), "W4A16_NVFP4");
  EXPECT_EQ(algo("lm_head"), "NVFP4");
}
#endif

}  // namespace
}  // namespace vernier::tools

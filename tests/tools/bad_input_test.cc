// What a user can get wrong, or a disk: one clear line with a stable code, exit 1, and nothing
// lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "tests/support/command.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/recipe_builder.h"

namespace vernier::testing {
namespace {

using ::testing::HasSubstr;

class BadInputTest : public ::testing::Test {
 protected:
  BadInputTest() {
    WriteSyntheticDeepseekV4(source_, {.layers = 3});
    AddTokenizer(source_);
    recipe_ = SyntheticRecipe(dir_.path(), source_, 256, 2, 64);
  }

  // Runs `subcommand` on the recipe, expects exactly one line and no checkpoint.
  void ExpectRefusal(const std::string& subcommand, const std::string& code,
                     const std::vector<std::string>& parts, std::vector<std::string> options = {}) {
    std::vector<std::string> arguments = {subcommand, WriteRecipe(dir_.path(), recipe_),
                                          "--progress", "none"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    ExpectOneLine(RunVernier(arguments), code, parts);
    EXPECT_FALSE(std::filesystem::exists(dir_.path() / "out" / "model.safetensors.index.json"));
  }

  void EditConfig(const std::function<void(Json&)>& edit) {
    Json config = ReadJsonFile(source_ / "config.json");
    edit(config);
    WriteFileAtomically(source_ / "config.json", config.dump());
  }

  TempDir dir_;
  const std::filesystem::path source_ = dir_.path() / "source";
  Json recipe_;
};

TEST_F(BadInputTest, TruncatedShard) {
  const auto shard = source_ / "model-00002-of-00002.safetensors";
  std::filesystem::resize_file(shard, std::filesystem::file_size(shard) - 100);
  ExpectRefusal("plan", "VN-CKPT-003", {"model-00002-of-00002.safetensors"});
}

TEST_F(BadInputTest, UnknownModelTypeListsTheKnown) {
  EditConfig([](Json& config) { config["model_type"] = "gpt_9"; });
  ExpectRefusal("plan", "VN-CKPT-009", {"gpt_9", "deepseek_v4"});
}

TEST_F(BadInputTest, MisspeltFieldNamesTheNearest) {
  recipe_["calibration"]["sampels"] = 3;
  ExpectRefusal("plan", "VN-RECIPE-001", {"/calibration", "sampels", "samples"});
}

TEST_F(BadInputTest, RuleThatMatchesNothing) {
  recipe_["quantize"].push_back({{"role", "dense_mlp"}, {"format", "nvfp4"}});
  ExpectRefusal("plan", "VN-RECIPE-002", {"dense_mlp"});
}

TEST_F(BadInputTest, RouterMustNotBeQuantised) {
  recipe_["quantize"].push_back({{"role", "router"}, {"format", "nvfp4"}});
  ExpectRefusal("plan", "VN-RECIPE-003", {"router"});
}

TEST_F(BadInputTest, MissingRecipeFile) {
  const CommandResult result = RunVernier({"run", "/nonexistent/recipe.json"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.errors, HasSubstr("VN-FILE-001: /nonexistent/recipe.json"));
}

TEST_F(BadInputTest, DeviceThatDoesNotExist) {
  ExpectRefusal("plan", VERNIER_TEST_WITH_TORCH ? "VN-CALIB-001" : "VN-CALIB-003", {"cuda:99"},
                {"--device", "cuda:99"});
}

#if VERNIER_TEST_WITH_TORCH
TEST_F(BadInputTest, NanInAWeightNamesTheTensor) {
  Overwrite(source_, "layers.1.ffn.gate.weight", 6, std::vector{std::byte{0xC0}, std::byte{0x7F}});
  ExpectRefusal("run", "VN-CKPT-011", {"layers.1.ffn.gate.weight"});
}

TEST_F(BadInputTest, NanScaleByteNamesTheTensor) {
  Overwrite(source_, "layers.2.ffn.experts.1.w2.scale", 0, std::vector{std::byte{0xFF}});
  recipe_["calibration"]["all_experts"] = true;
  ExpectRefusal("run", "VN-CKPT-011", {"layers.2.ffn.experts.1.w2.scale"});
}

TEST_F(BadInputTest, ActivationThatOverflowsNamesTheModuleAndKeepsEarlierLayers) {
  // Norm weights of 3e38 make the inputs of the linear layers behind them infinite.
  std::vector<std::byte> huge;
  for (int i = 0; i < 128; ++i) {
    huge.push_back(std::byte{0x7F});
    huge.push_back(std::byte{0x7F});
  }
  Overwrite(source_, "layers.2.ffn_norm.weight", 0, huge);
  ExpectRefusal("run", "VN-CALIB-002", {"layers.2.ffn.", "inf in layer 2, sample 0"});
}

TEST_F(BadInputTest, ActivationThatOverflowsIsClampedOnRequest) {
  std::vector<std::byte> huge;
  for (int i = 0; i < 128; ++i) huge.insert(huge.end(), {std::byte{0x7F}, std::byte{0x7F}});
  Overwrite(source_, "layers.1.ffn_norm.weight", 0, huge);
  const std::string recipe = WriteRecipe(dir_.path(), recipe_);
  const CommandResult clamped =
      RunVernier({"run", recipe, "--non-finite", "clamp", "--progress", "none"});
  EXPECT_EQ(clamped.exit_code, 0) << clamped.errors;
  EXPECT_THAT(clamped.output, HasSubstr("clamped"));
  // Statistics with and without clamping are not the same.
  const CommandResult other = RunVernier({"export", recipe, "--progress", "none"});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.errors, HasSubstr("VN-STORE-001"));
}

TEST_F(BadInputTest, TokenIdsOutsideTheVocabulary) {
  WriteFileAtomically(dir_.path() / "ids.jsonl", "{\"input_ids\": [1, 2, 99999]}\n");
  ExpectRefusal("run", "VN-DATA-002", {"ids.jsonl:1", "99999"});
}

TEST_F(BadInputTest, BudgetSmallerThanOneWorkingSet) {
  ExpectRefusal("run", "VN-RECIPE-004", {"device_memory"}, {"--device-memory", "1KiB"});
}

TEST_F(BadInputTest, AFileThatCannotGrowLosesNothingFinished) {
  const std::string recipe = WriteRecipe(dir_.path(), recipe_);
  ASSERT_EQ(RunVernier({"calibrate", recipe}).exit_code, 0);
  const CommandResult full = RunVernier({"export", recipe}, {.file_size_limit = 200'000});
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_THAT(full.errors, HasSubstr("vernier: VN-FILE-003"));
  const CommandResult again = RunVernier({"export", recipe});
  EXPECT_EQ(again.exit_code, 0) << again.errors;
}

TEST_F(BadInputTest, ForeignOutputDirectoryIsLeftAlone) {
  std::filesystem::create_directories(dir_.path() / "out");
  std::ofstream(dir_.path() / "out" / "thesis.txt") << "mine";
  ExpectRefusal("run", "VN-EXPORT-001", {"out"});
  EXPECT_EQ(ReadWholeFile(dir_.path() / "out" / "thesis.txt"), "mine");
}
#endif

TEST_F(BadInputTest, MissingScale) {
  const TempDir other;
  Json config = SyntheticDeepseekV4Config({.layers = 3});
  const std::vector<uint8_t> codes(128 * 128, 0x38);
  WriteCheckpoint(
      other.path() / "m", config,
      {MakeTensor("layers.0.attn.wq_a.weight", checkpoint::DType::kF8E4M3, {128, 128}, codes)},
      /*shards=*/1);
  ExpectRefusal("plan", "VN-CKPT-005", {"layers.0.attn.wq_a"},
                {"--source", (other.path() / "m").string()});
}

TEST_F(BadInputTest, UnknownFlagAndMissingArgumentAreUsageErrors) {
  EXPECT_NE(RunVernier({"plan"}).exit_code, 0);
  EXPECT_NE(RunVernier({"plan", "x.json", "--sampels", "3"}).exit_code, 0);
  EXPECT_NE(RunVernier({}).exit_code, 0);
}

}  // namespace
}  // namespace vernier::testing

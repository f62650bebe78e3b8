// `vernier amax`: statistics printed, compared and merged, and an export from merged ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/file.h"
#include "base/json.h"
#include "tests/support/command.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/recipe_builder.h"

namespace vernier::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

// Two calibrations over different samples, made once for all tests.
class AmaxTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new TempDir();
    WriteSyntheticDeepseekV4(dir_->path() / "source", {.layers = 3, .experts = 8, .shards = 2});
    AddTokenizer(dir_->path() / "source");
    for (const char* half : {"a", "b"}) Calibrate(half);
  }
  static void TearDownTestSuite() {
    delete dir_;
    dir_ = nullptr;
  }

  static void Calibrate(const std::string& name) {
    const fs::path place = dir_->path() / name;
    fs::create_directories(place);
    Json recipe = SyntheticRecipe(place, dir_->path() / "source", 256, 4, 64);
    recipe["calibration"]["samples"] = 2;
    recipe["calibration"]["seed"] = name == "a" ? 0 : 5;
    const CommandResult result =
        RunVernier({"calibrate", WriteRecipe(place, recipe), "--progress", "none"});
    ASSERT_EQ(result.exit_code, 0) << result.errors;
  }

  static std::string Run(const std::string& name) { return (dir_->path() / name / "run").string(); }

  static Json Dump(const std::string& run) {
    const CommandResult result = RunVernier({"amax", run});
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return ParseJson(result.output, "amax");
  }

  static std::map<std::string, std::pair<double, int64_t>> Values(const Json& dump) {
    std::map<std::string, std::pair<double, int64_t>> values;
    for (const Json& input : dump.at("inputs")) {
      values[input.at("module")] = {input.at("amax"), input.at("tokens")};
    }
    return values;
  }

  static TempDir* dir_;
};

TempDir* AmaxTest::dir_ = nullptr;

TEST_F(AmaxTest, PrintsEveryModule) {
  const Json dump = Dump(Run("a"));
  EXPECT_EQ(dump.at("format"), "vernier.amax");
  EXPECT_TRUE(dump.at("finished"));
  EXPECT_EQ(dump.at("identity").at("calibration.samples"), "2");
  EXPECT_EQ(dump.at("inputs").size(), 3u * 8 * 3);
  EXPECT_EQ(Dump(Run("a") + "/vernier.sqlite"), dump);
}

TEST_F(AmaxTest, WritesTheFormatThatTheNameSays) {
  const fs::path json = dir_->path() / "amax.json", tensors = dir_->path() / "amax.safetensors";
  ASSERT_EQ(RunVernier({"amax", Run("a"), "--out", json.string()}).exit_code, 0);
  EXPECT_EQ(ReadJsonFile(json), Dump(Run("a")));
  ASSERT_EQ(RunVernier({"amax", Run("a"), "--out", tensors.string()}).exit_code, 0);
  EXPECT_THAT(ReadWholeFile(tensors), HasSubstr("layers.0.ffn.experts.0.w1.input_amax"));
  ExpectFailure(RunVernier({"amax", Run("a"), "--out", "amax.txt"}), "VN-ARG-001");
}

TEST_F(AmaxTest, DiffTellsEqualDifferentAndUnreadable) {
  const CommandResult equal = RunVernier({"amax", Run("a"), "--diff", Run("a")});
  EXPECT_EQ(equal.exit_code, 0) << equal.output;
  const CommandResult different = RunVernier({"amax", Run("a"), "--diff", Run("b")});
  EXPECT_EQ(different.exit_code, 1);
  EXPECT_THAT(different.output, AllOf(HasSubstr("calibration.seed: first 0, second 5"),
                                      HasSubstr("72 statistics in both")));
  EXPECT_EQ(RunVernier({"amax", Run("a"), "--diff", Run("b"), "--tolerance", "1"}).exit_code, 0);
  const CommandResult absent = RunVernier({"amax", Run("a"), "--diff", Run("none")});
  EXPECT_EQ(absent.exit_code, 2);
  EXPECT_THAT(absent.errors, HasSubstr("VN-STORE-004"));
}

TEST_F(AmaxTest, AMergeHasTheLargestAmaxAndExports) {
  const std::string merged = (dir_->path() / "merged").string();
  const CommandResult result =
      RunVernier({"amax", Run("a"), "--merge", Run("b"), "--into", merged});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const auto a = Values(Dump(Run("a"))), b = Values(Dump(Run("b"))), both = Values(Dump(merged));
  ASSERT_EQ(both.size(), a.size());
  for (const auto& [module, value] : both) {
    EXPECT_EQ(value.first, std::max(a.at(module).first, b.at(module).first)) << module;
    EXPECT_EQ(value.second, a.at(module).second + b.at(module).second) << module;
  }

  // Both parents' recipes fit it, and give the same bytes; a third one does not.
  std::map<std::string, std::string> first;
  for (const char* half : {"a", "b"}) {
    const fs::path out = dir_->path() / (std::string("out-") + half);
    const CommandResult exported =
        RunVernier({"export", (dir_->path() / half / "recipe.json").string(), "--run-dir", merged,
                    "--output", out.string(), "--progress", "none"});
    ASSERT_EQ(exported.exit_code, 0) << exported.errors;
    if (first.empty()) first = HashTree(out);
    EXPECT_EQ(HashTree(out), first);
  }
  const CommandResult other =
      RunVernier({"export", (dir_->path() / "a/recipe.json").string(), "--run-dir", merged,
                  "--output", (dir_->path() / "out-c").string(), "--seed", "9"});
  ExpectFailure(other, "VN-STORE-001", {"calibration.seed: "});
}

TEST_F(AmaxTest, MergeAndIntoBelongTogether) {
  EXPECT_NE(RunVernier({"amax", Run("a"), "--merge", Run("b")}).exit_code, 0);
  EXPECT_NE(RunVernier({"amax", Run("a"), "--into", Run("c")}).exit_code, 0);
  const CommandResult into =
      RunVernier({"amax", Run("a"), "--merge", Run("b"), "--into", Run("a")});
  EXPECT_EQ(into.exit_code, 1);
  EXPECT_THAT(into.errors, HasSubstr("another run"));
}

// A model whose weights lose something has the sums of squares that weight their errors.
class SquareSumTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::copy(fs::path(VERNIER_TEST_DATA) / "models/tiny-llama", Place("source"));
    AddTokenizer(Place("source"));
    for (const char* name : {"a", "b"}) Run(name, {"--seed", name == std::string("a") ? "0" : "5"});
  }

  CommandResult Run(const std::string& name, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"run",
                                          std::string(VERNIER_SOURCE_DIR) + "/recipes/nvfp4.json",
                                          "--source",
                                          Place("source"),
                                          "--output",
                                          Place(name + "-out"),
                                          "--run-dir",
                                          Place(name),
                                          "--data",
                                          std::string(VERNIER_TEST_DATA) + "/stores/v2/ids.jsonl",
                                          "--samples",
                                          "2",
                                          "--sequence-length",
                                          "32",
                                          "--effort",
                                          "fast",
                                          "--progress",
                                          "none"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    CommandResult result = RunVernier(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return result;
  }
  // Of one statistic, by module.
  std::map<std::string, Json> Sums(const std::string& run, const std::string& statistic) {
    std::map<std::string, Json> sums;
    const Json dump = ParseJson(RunVernier({"amax", Place(run)}).output, "amax");
    for (const Json& row : dump.at("statistics")) {
      if (row.at("statistic") == statistic) sums[row.at("module")] = row;
    }
    return sums;
  }
  std::string Place(const std::string& name) const { return (dir_.path() / name).string(); }

  TempDir dir_;
};

const char* const kSums[] = {"input_square_sum", "input_block_hessian"};

TEST_F(SquareSumTest, AreDumpedComparedMergedAndUsed) {
  const CommandResult different = RunVernier({"amax", Place("a"), "--diff", Place("b")});
  EXPECT_EQ(different.exit_code, 1);
  for (const std::string statistic : kSums) {
    EXPECT_THAT(different.output, HasSubstr(statistic));
  }
  EXPECT_EQ(RunVernier({"amax", Place("a"), "--diff", Place("a")}).exit_code, 0);

  const CommandResult merged =
      RunVernier({"amax", Place("a"), "--merge", Place("b"), "--into", Place("merged")});
  ASSERT_EQ(merged.exit_code, 0) << merged.errors;
  for (const std::string statistic : kSums) {
    const auto a = Sums("a", statistic), b = Sums("b", statistic);
    EXPECT_EQ(a.size(), 3u * 7);
    for (const auto& [module, row] : Sums("merged", statistic)) {
      EXPECT_EQ(row.at("tokens"), 2 * 2 * 32);
      const double mean = row.at("mean_square");
      EXPECT_NEAR(mean,
                  (a.at(module).at("mean_square").get<double>() +
                   b.at(module).at("mean_square").get<double>()) /
                      2,
                  1e-6 * mean);
    }
  }

  const fs::path tensors = Place("sums.safetensors");
  ASSERT_EQ(RunVernier({"amax", Place("a"), "--out", tensors.string()}).exit_code, 0);
  const std::string written = ReadWholeFile(tensors);
  const std::string up = "model.layers.0.mlp.up_proj.";
  EXPECT_THAT(written, HasSubstr(up + "input_square_sum\":{\"dtype\":\"F64\""));
  EXPECT_THAT(written, HasSubstr(up + "input_block_hessian\":{\"dtype\":\"F32\""));
}

TEST_F(SquareSumTest, WeightTheSearchByDefault) {
  const CommandResult weighted = Run("weighted", {});
  EXPECT_THAT(weighted.output, HasSubstr("importance   21 of 21 searched weights have a vector"));
  EXPECT_EQ(ReadJsonFile(Place("weighted-out/vernier_manifest.json")).at("importance").at("from"),
            "calibration");
}

}  // namespace
}  // namespace vernier::testing

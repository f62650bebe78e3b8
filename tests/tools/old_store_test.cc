// Commands on run directories that the previous schema version left behind (tests/data/stores/v2).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "run/run_identity.h"
#include "run/sqlite.h"
#include "run/store.h"
#include "tests/support/command.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/recipe_builder.h"

namespace vernier::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const fs::path kRoot = VERNIER_SOURCE_DIR;
const fs::path kTestData = VERNIER_TEST_DATA;
const fs::path kStores = kTestData / "stores/v2";

class OldStoreTest : public ::testing::Test {
 protected:
  // A model of tests/data/models, with the tokenizer that it lacks.
  void MakeSource(const std::string& model) {
    fs::copy(kTestData / "models" / model, Source());
    AddTokenizer(Source());
  }
  void CopyStore(const std::string& name) { fs::copy(kStores / name, dir_.path() / name); }

  // As the stores' calibrations were run.
  CommandResult Try(const std::string& subcommand, const fs::path& recipe, const std::string& run,
                    const std::string& output, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {subcommand,
                                          recipe.string(),
                                          "--source",
                                          Source().string(),
                                          "--output",
                                          Place(output),
                                          "--run-dir",
                                          Place(run),
                                          "--data",
                                          (kStores / "ids.jsonl").string(),
                                          "--samples",
                                          "4",
                                          "--sequence-length",
                                          "32",
                                          "--progress",
                                          "none"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunVernier(arguments);
  }
  void Run(const std::string& subcommand, const fs::path& recipe, const std::string& run,
           const std::string& output, const std::vector<std::string>& more) {
    const CommandResult result = Try(subcommand, recipe, run, output, more);
    EXPECT_EQ(result.exit_code, 0) << result.errors << result.output;
  }

  std::string Amax(const std::string& run) const { return RunVernier({"amax", Place(run)}).output; }

  fs::path Source() const { return dir_.path() / "source"; }
  std::string Place(const std::string& name) const { return (dir_.path() / name).string(); }

  TempDir dir_;
};

TEST_F(OldStoreTest, StatusAmaxAndDiffLeaveItAlone) {
  CopyStore("finished");
  const auto before = HashTree(dir_.path());
  EXPECT_EQ(Amax("finished"), ReadWholeFile(kStores / "finished_amax.json"));
  EXPECT_THAT(RunVernier({"status", Place("finished")}).output,
              HasSubstr("27 statistics (6 cache_amax, 21 input_amax), finished"));
  EXPECT_EQ(RunVernier({"amax", Place("finished"), "--diff", Place("finished")}).exit_code, 0);
  EXPECT_EQ(HashTree(dir_.path()), before);
}

TEST_F(OldStoreTest, AFinishedCalibrationExportsWhatANewOneDoes) {
  MakeSource("tiny-llama");
  CopyStore("finished");
  // It lacks the sums that searches by error are weighted with.
  Json content = ReadJsonFile(kRoot / "recipes/nvfp4.json", JsonComments::kAllow);
  content["quantize"][0]["scale"] = "max";
  content["quantize"][0]["smooth"] = "none";
  content["effort"] = "fast";
  const fs::path recipe = WriteRecipe(dir_.path(), content);
  Run("export", recipe, "finished", "out-old", {"--kv-cache", "fp8"});
  // Nor did it know other products than these.
  Run("run", recipe, "new", "out-new", {"--kv-cache", "fp8", "--cpu-products", "f32"});
  const auto inputs = [](const std::string& amax) { return ParseJson(amax, "amax").at("inputs"); };
  EXPECT_EQ(inputs(Amax("new")), inputs(ReadWholeFile(kStores / "finished_amax.json")));
  EXPECT_EQ(HashTree(dir_.path() / "out-old"), HashTree(dir_.path() / "out-new"));
}

TEST_F(OldStoreTest, LocalHessiansThatItLacksAreAskedForByName) {
  MakeSource("tiny-llama");
  CopyStore("finished");
  Json content = ReadJsonFile(kRoot / "recipes/nvfp4.json", JsonComments::kAllow);
  content["quantize"][0]["scale"] = "local_hessian";
  const fs::path recipe = WriteRecipe(dir_.path(), content);
  ExpectFailure(Try("export", recipe, "finished", "out", {"--kv-cache", "fp8"}), "VN-STORE-004",
                {"local Hessians"});
}

// It was begun with another arithmetic: what is left would be other products.
TEST_F(OldStoreTest, AnInterruptedCalibrationIsRefusedByName) {
  MakeSource("tiny-deepseek-v4");
  CopyStore("interrupted");
  ExpectOneLine(Try("calibrate", kStores / "interrupted_recipe.json", "interrupted", "out", {}),
                "VN-STORE-001",
                {"numerics: stored 1, now " + std::to_string(run::kNumericsVersion)});
}

}  // namespace
}  // namespace vernier::testing

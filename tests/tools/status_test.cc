// `vernier status` before, during and after a run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

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
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

class StatusTest : public ::testing::Test {
 protected:
  StatusTest() {
    WriteSyntheticDeepseekV4(Source(), {.layers = 4, .experts = 8, .shards = 3});
    AddTokenizer(Source());
  }

  fs::path Source() const { return dir_.path() / "source"; }

  // A recipe in a directory of its own.
  std::string Recipe(const std::string& name) const {
    fs::create_directories(dir_.path() / name);
    return WriteRecipe(dir_.path() / name,
                       SyntheticRecipe(dir_.path() / name, Source(), 256, 4, 64));
  }

  Json Status(const fs::path& run) const {
    const CommandResult result = RunVernier({"status", run.string(), "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return ParseJson(result.output, "status");
  }

  TempDir dir_;
};

TEST_F(StatusTest, AKilledRunSaysHowItContinuesAndDoes) {
  const CommandResult calm = RunVernier({"run", Recipe("calm"), "--progress", "none"});
  ASSERT_EQ(calm.exit_code, 0) << calm.errors;
  const std::string recipe = Recipe("it's killed");
  const fs::path run = dir_.path() / "it's killed/run";
  const CommandResult killed = RunVernier({"run", recipe, "--progress", "json", "--threads", "1"},
                                          {.kill_when = Past("calibrate", 0.3)});
  ASSERT_EQ(killed.exit_code, kKilled);

  const Json status = Status(run);
  EXPECT_FALSE(status.at("calibration").at("finished"));
  EXPECT_EQ(status.at("calibration").at("total_layers"), 4);
  EXPECT_TRUE(status.at("process").is_null());
  EXPECT_EQ(status.at("command").at("steps"), "calibrate export validate");
  EXPECT_TRUE(status.at("command").at("outcome").is_null());
  EXPECT_EQ(status.at("left").size(), 3u);
  EXPECT_THAT(RunVernier({"status", run.string()}).output,
              AllOf(HasSubstr("killed, or stopped"), HasSubstr("\ncontinue     cd ")));

  const std::string again = status.at("continue");
  EXPECT_THAT(again, AllOf(HasSubstr("--threads 1"), HasSubstr("it'\\''s killed")));
  ASSERT_EQ(std::system(("(" + again + ") > /dev/null 2>&1").c_str()), 0) << again;
  EXPECT_EQ(HashTree(dir_.path() / "it's killed/out"), HashTree(dir_.path() / "calm/out"));
  EXPECT_TRUE(Status(run).at("left").empty());
}

TEST_F(StatusTest, AFinishedRunHasNothingLeft) {
  ASSERT_EQ(RunVernier({"run", Recipe("a"), "--progress", "none"}).exit_code, 0);
  const fs::path run = dir_.path() / "a/run";
  const auto before = HashTree(run);
  const Json status = Status(run);
  EXPECT_TRUE(status.at("calibration").at("finished"));
  EXPECT_EQ(status.at("calibration").at("layers").size(), 4u);
  EXPECT_EQ(status.at("exports")[0].at("shards_done"), status.at("exports")[0].at("shards"));
  EXPECT_EQ(status.at("exports")[0].at("bytes_done"), status.at("exports")[0].at("bytes"));
  EXPECT_EQ(status.at("exports")[0].at("audit_errors"), 0);
  EXPECT_EQ(status.at("phases").size(), 3u);
  EXPECT_EQ(status.at("files").size(), 1u) << "the store alone";
  EXPECT_TRUE(status.at("continue").is_null());
  EXPECT_THAT(RunVernier({"status", run.string()}).output, EndsWith("nothing left to do\n"));
  EXPECT_EQ(HashTree(run), before) << "status writes nothing";
}

TEST_F(StatusTest, LooksOnWhileTheRunWorks) {
  const fs::path run = dir_.path() / "a/run";
  bool seen = false;
  const auto look = [&](const std::string& line) {
    if (!seen && Past("calibrate", 0.3)(line)) {
      seen = true;
      const Json status = Status(run);
      EXPECT_TRUE(status.at("process").is_number());
      EXPECT_TRUE(status.at("continue").is_null());
      EXPECT_THAT(RunVernier({"status", run.string()}).output, HasSubstr("running"));
    }
    return false;
  };
  const CommandResult result =
      RunVernier({"run", Recipe("a"), "--progress", "json"}, {.kill_when = look});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_TRUE(seen);
}

TEST_F(StatusTest, TheStoreAloneMovesAFinishedCalibration) {
  ASSERT_EQ(RunVernier({"run", Recipe("a"), "--progress", "none"}).exit_code, 0);
  const fs::path moved = dir_.path() / "other machine";
  fs::create_directories(moved);
  fs::copy_file(dir_.path() / "a/run/vernier.sqlite", moved / "vernier.sqlite");
  const CommandResult result =
      RunVernier({"export", Recipe("a"), "--run-dir", moved.string(), "--output",
                  (dir_.path() / "out2").string(), "--progress", "none"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_EQ(HashTree(dir_.path() / "out2"), HashTree(dir_.path() / "a/out"));
}

TEST_F(StatusTest, AnUnfinishedCalibrationMovesWithTheFilesThatItNames) {
  ASSERT_EQ(RunVernier({"run", Recipe("calm"), "--progress", "none"}).exit_code, 0);
  const std::string recipe = Recipe("a");
  const CommandResult killed =
      RunVernier({"run", recipe, "--progress", "json", "--save-interval", "0"},
                 {.kill_when = Past("calibrate", 0.5)});
  ASSERT_EQ(killed.exit_code, kKilled);
  const fs::path run = dir_.path() / "a/run", moved = dir_.path() / "moved";
  fs::create_directories(moved);
  const std::vector<std::string> go_on = {
      "run",       recipe,         "--output",   (dir_.path() / "out2").string(),
      "--run-dir", moved.string(), "--progress", "none"};
  for (const char* file : {"vernier.sqlite", "vernier.sqlite-wal"}) {
    fs::copy_file(run / file, moved / file);
  }
  ExpectFailure(RunVernier(go_on), "VN-STORE-002", {"hidden-"});

  const Json status = Status(run);
  for (const Json& file : status.at("files")) {
    EXPECT_TRUE(file.at("present")) << file;
    const std::string name = file.at("name");
    fs::copy_file(run / name, moved / name, fs::copy_options::overwrite_existing);
  }
  const CommandResult complete = RunVernier(go_on);
  ASSERT_EQ(complete.exit_code, 0) << complete.errors;
  EXPECT_THAT(complete.output, HasSubstr("resumed at layer"));
  EXPECT_EQ(HashTree(dir_.path() / "out2"), HashTree(dir_.path() / "calm/out"));
}

TEST_F(StatusTest, RefusalsShowEveryFieldInOneLineAndDoNotBecomeTheCommand) {
  const std::string recipe = Recipe("a");
  ASSERT_EQ(RunVernier({"calibrate", recipe, "--progress", "none"}).exit_code, 0);
  const CommandResult refused =
      RunVernier({"run", recipe, "--samples", "3", "--seed", "1", "--progress", "none"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.errors,
              HasSubstr("calibration.samples: stored 4, now 3; calibration.seed: stored 0, now 1"));
  const Json status = Status(dir_.path() / "a/run");
  EXPECT_THAT(std::string(status.at("command").at("line")), HasSubstr(" calibrate "));
  EXPECT_THAT(std::string(status.at("command").at("line")), Not(HasSubstr("--samples")));
}

TEST_F(StatusTest, OtherTokensAndAnotherTokenizerAreRefused) {
  const std::string recipe = Recipe("a");
  ASSERT_EQ(RunVernier({"calibrate", recipe, "--progress", "none"}).exit_code, 0);
  const fs::path data = dir_.path() / "a/ids.jsonl";
  const std::string lines = ReadWholeFile(data);
  WriteFileAtomically(data, "{\"input_ids\": [1, 2, 3, 4, 5, 6, 7, 8]}\n" + lines);
  const CommandResult data_changed = RunVernier({"run", recipe, "--progress", "none"});
  EXPECT_THAT(data_changed.errors, AllOf(HasSubstr("VN-STORE-001"), HasSubstr("tokens: stored ")));
  WriteFileAtomically(data, lines);

  const fs::path config = Source() / "tokenizer_config.json";
  WriteFileAtomically(config, ReadWholeFile(config) + "\n");
  const CommandResult tokenizer_changed = RunVernier({"run", recipe, "--progress", "none"});
  EXPECT_THAT(tokenizer_changed.errors,
              AllOf(HasSubstr("VN-STORE-001"), HasSubstr("tokenizer: stored ")));
  EXPECT_THAT(std::string(Status(dir_.path() / "a/run").at("command").at("line")),
              HasSubstr(" calibrate "));
}

}  // namespace
}  // namespace vernier::testing

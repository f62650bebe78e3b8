// kill -9 in the middle, the same command again, and the bytes of a run that nobody disturbed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/json.h"
#include "tests/support/command.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/recipe_builder.h"

namespace vernier::testing {
namespace {

using ::testing::HasSubstr;

class ResumeTest : public ::testing::TestWithParam<bool> {
 protected:
  ResumeTest() {
    WriteSyntheticDeepseekV4(
        dir_.path() / "source",
        {.layers = 6, .experts = 16, .hidden = 256, .moe_width = 128, .vocab = 512, .shards = 4});
    AddTokenizer(dir_.path() / "source");
  }

  std::vector<std::string> RunArguments(const std::string& name, bool spill) {
    const std::filesystem::path place = dir_.path() / name;
    std::filesystem::create_directories(place);
    const Json recipe = SyntheticRecipe(place, dir_.path() / "source", 512, 12, 128);
    return {"run",           WriteRecipe(place, recipe), "--progress",      "json",
            "--host-memory", spill ? "1KiB" : "1GiB",    "--save-interval", "0"};
  }

  TempDir dir_;
};

TEST_P(ResumeTest, KilledInCalibrationItGoesOnAtThatLayer) {
  ASSERT_EQ(RunVernier(RunArguments("calm", GetParam())).exit_code, 0);
  const auto arguments = RunArguments("killed", GetParam());
  int kills = 0;
  for (const double fraction : {0.05, 0.4, 0.7}) {
    const CommandResult killed = RunVernier(arguments, {.kill_when = Past("calibrate", fraction)});
    if (killed.exit_code == kKilled) ++kills;
  }
  EXPECT_GE(kills, 2);
  const CommandResult resumed = RunVernier(arguments);
  ASSERT_EQ(resumed.exit_code, 0) << resumed.errors;
  EXPECT_THAT(resumed.output, HasSubstr("resumed at layer"));
  EXPECT_EQ(HashTree(dir_.path() / "killed/out"), HashTree(dir_.path() / "calm/out"));
}

TEST_P(ResumeTest, KilledInExportItNeverCalibratesAgain) {
  ASSERT_EQ(RunVernier(RunArguments("calm", GetParam())).exit_code, 0);
  const auto arguments = RunArguments("killed", GetParam());
  const CommandResult killed = RunVernier(arguments, {.kill_when = Past("export", -1)});
  ASSERT_EQ(killed.exit_code, kKilled);
  EXPECT_FALSE(std::filesystem::exists(dir_.path() / "killed/out/vernier_manifest.json"));
  const CommandResult resumed = RunVernier(arguments);
  ASSERT_EQ(resumed.exit_code, 0) << resumed.errors;
  EXPECT_THAT(resumed.output, HasSubstr("finished by an earlier run"));
  EXPECT_EQ(HashTree(dir_.path() / "killed/out"), HashTree(dir_.path() / "calm/out"));
}

TEST_P(ResumeTest, NothingButTheStoreIsLeftInTheRunDirectory) {
  const auto arguments = RunArguments("calm", GetParam());
  ASSERT_EQ(RunVernier(arguments).exit_code, 0);
  // What is there if the run ends between the last commit and the removal.
  for (const char* file : {"hidden-0005.bin.partial", "layer-0005-middle.part"}) {
    WriteFileAtomically(dir_.path() / "calm/run" / file, "");
  }
  ASSERT_EQ(RunVernier(arguments).exit_code, 0);
  for (const auto& [file, hash] : HashTree(dir_.path() / "calm/run")) {
    EXPECT_THAT(file, ::testing::Not(::testing::AnyOf(HasSubstr(".scratch"), HasSubstr(".bin"),
                                                      HasSubstr(".part"))));
  }
}

INSTANTIATE_TEST_SUITE_P(HiddenStates, ResumeTest, ::testing::Bool(),
                         [](const auto& spilled) { return spilled.param ? "OnDisk" : "InMemory"; });

TEST(ActivationCheckpointTest, DamageIsNoticed) {
  const TempDir dir;
  WriteSyntheticDeepseekV4(dir.path() / "source", {.layers = 4});
  AddTokenizer(dir.path() / "source");
  const Json recipe = SyntheticRecipe(dir.path(), dir.path() / "source", 256, 4, 128);
  const std::string path = WriteRecipe(dir.path(), recipe);
  const CommandResult killed =
      RunVernier({"calibrate", path, "--progress", "json", "--save-interval", "0"},
                 {.kill_when = Past("calibrate", 0.5)});
  ASSERT_EQ(killed.exit_code, kKilled);
  for (const auto& entry : std::filesystem::directory_iterator(dir.path() / "run")) {
    if (entry.path().extension() != ".bin") continue;
    const File file = File::OpenForWrite(entry.path(), /*truncate=*/false);
    const std::byte flipped[] = {std::byte{0x55}};
    file.WriteAt(17, flipped);
  }
  ExpectFailure(RunVernier({"calibrate", path}), "VN-STORE-002");
}

}  // namespace
}  // namespace vernier::testing

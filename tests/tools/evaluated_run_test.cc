// vernier run --eval: how the output does stands in its model card.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/file.h"
#include "tests/support/command.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/recipe_builder.h"

namespace vernier::testing {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class EvaluatedRunTest : public ::testing::Test {
 protected:
  CommandResult Run(const fs::path& text) {
    return RunVernier({"run", WriteRecipe(dir_.path(), ExampleRecipe(dir_.path())), "--progress",
                       "none", "--eval", text.string()});
  }

  TempDir dir_;
};

TEST_F(EvaluatedRunTest, TellsHowTheOutputDid) {
  const fs::path text = dir_.path() / "held_out.txt";
  WriteFileAtomically(text, "A vernier is a fine scale read against a coarse one, and so on.");
  const CommandResult result = Run(text);
  ASSERT_EQ(result.exit_code, 0) << result.errors << result.output;
  const std::string card = ReadWholeFile(dir_.path() / "out/README.md");
  EXPECT_THAT(card, AllOf(HasSubstr("## Accuracy"), HasSubstr("| reference |"),
                          HasSubstr("| weights+activations |"), HasSubstr("`held_out.txt`")));
  EXPECT_THAT(card,
              AllOf(HasSubstr("Leave speculative decoding with the MTP layers off in TensorRT"),
                    Not(HasSubstr("Not with TensorRT"))));
  EXPECT_THAT(card, Not(HasSubstr(dir_.path().string()))) << "a path of this machine";
  EXPECT_THAT(result.output, HasSubstr("weights+activations"));
}

TEST_F(EvaluatedRunTest, TheSameCommandWithoutTextKeepsWhatWasFound) {
  const fs::path text = dir_.path() / "held_out.txt";
  WriteFileAtomically(text, "A vernier is a fine scale read against a coarse one, and so on.");
  ASSERT_EQ(Run(text).exit_code, 0);
  const std::string card = ReadWholeFile(dir_.path() / "out/README.md");
  fs::remove(dir_.path() / "out/README.md");
  const CommandResult again =
      RunVernier({"run", (dir_.path() / "recipe.json").string(), "--progress", "none"});
  ASSERT_EQ(again.exit_code, 0) << again.errors;
  EXPECT_EQ(ReadWholeFile(dir_.path() / "out/README.md"), card);
}

TEST_F(EvaluatedRunTest, MissingTextIsSaidBeforeAnythingIsDone) {
  const CommandResult result = Run(dir_.path() / "absent.txt");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.errors, AllOf(HasSubstr("VN-FILE-001"), HasSubstr("absent.txt")));
  EXPECT_FALSE(fs::exists(dir_.path() / "out"));
}

TEST_F(EvaluatedRunTest, AMissingTokenizerIsSaidBeforeAnythingIsDone) {
  const fs::path text = dir_.path() / "held_out.txt";
  WriteFileAtomically(text, "A vernier is a fine scale.");
  const fs::path source = dir_.path() / "source";  // token ids calibrate without a tokenizer
  fs::copy(fs::path(VERNIER_TEST_DATA) / "models/tiny-qwen3-moe", source);
  const Json recipe = SyntheticRecipe(dir_.path(), source, /*vocab=*/512, /*samples=*/2,
                                      /*sequence_length=*/16);
  const CommandResult result = RunVernier(
      {"run", WriteRecipe(dir_.path(), recipe), "--progress", "none", "--eval", text.string()});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.errors, HasSubstr("tokenizer.json"));
  EXPECT_FALSE(fs::exists(dir_.path() / "out"));
}

}  // namespace
}  // namespace vernier::testing

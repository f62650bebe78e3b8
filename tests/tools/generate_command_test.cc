// `vernier generate` as a user runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/json.h"
#include "tests/support/command.h"
#include "tests/support/source_tree.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

CommandResult Generate(std::vector<std::string> options) {
  options.insert(options.begin(), "generate");
  options.insert(options.end(), {"--progress", "none"});
  return RunVernier(options);
}

Json GenerateJson(std::vector<std::string> options) {
  options.push_back("--json");
  const CommandResult result = Generate(options);
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  return ParseJson(result.output, "generate");
}

// The text that transformers generated from the same checkpoint.
TEST(GenerateTest, GoesOnAsTheReferenceDid) {
  const Json eval =
      ReadJsonFile(kSourceTree / "tests/data/models/mini-deepseek-v4-reference/eval.json");
  const std::string golden = eval.at("greedy");
  const std::string prompt = "The following options are supported:";
  ASSERT_THAT(golden, StartsWith(prompt));
  const Json texts = GenerateJson({kExample, "--prompt", prompt, "--tokens", "20"});
  ASSERT_EQ(texts.size(), 1u);
  EXPECT_EQ(texts[0].at("ids").size(), 20u);
  EXPECT_FALSE(texts[0].at("ended"));
  EXPECT_THAT(golden, StartsWith(prompt + texts[0].at("text").get<std::string>()));
}

TEST(GenerateTest, SeveralPromptsGoOnAtOnce) {
  const Json both = GenerateJson({kExample, "--prompt", "To install the package, type:", "--prompt",
                                  "See also", "--tokens", "4", "--dtype", "float32"});
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both[1].at("prompt"), "See also");
  const Json alone =
      GenerateJson({kExample, "--prompt", "See also", "--tokens", "4", "--dtype", "float32"});
  EXPECT_EQ(both[1], alone[0]);
  const CommandResult text =
      Generate({kExample, "--prompt", "See also", "--tokens", "4", "--dtype", "float32"});
  EXPECT_EQ(text.output, "See also" + alone[0].at("text").get<std::string>() + "\n");
}

// Loaded once where it fits; progress tells which of the two it is.
TEST(GenerateTest, AModelThatDoesNotFitFindsTheSameText) {
  const auto generate = [](const std::string& device_memory) {
    return RunVernier({"generate", kExample, "--prompt", "See also", "--tokens", "4", "--dtype",
                       "float32", "--progress", "plain", "--device-memory", device_memory});
  };
  const CommandResult whole = generate("1GiB"), layers = generate("8MiB");
  EXPECT_THAT(whole.errors, HasSubstr("100% token 4/4"));
  EXPECT_THAT(layers.errors, HasSubstr("100% layer 6/6"));
  EXPECT_THAT(whole.output, StartsWith("See also"));
  EXPECT_EQ(whole.output, layers.output);
}

TEST(GenerateTest, QuantisedActivationsChangeIdsButAreStillText) {
  const Json plain = GenerateJson({kExample, "--prompt", "The", "--tokens", "6"});
  const Json quantised =
      GenerateJson({kExample, "--prompt", "The", "--tokens", "6", "--activations", "quantised"});
  EXPECT_EQ(plain[0].at("prompt_ids"), quantised[0].at("prompt_ids"));
  EXPECT_EQ(plain[0].at("prompt_ids").size(), 2u) << "BOS and a word";
  EXPECT_EQ(quantised[0].at("ids").size(), 6u);
}

TEST(GenerateTest, ErrorsAreOneLine) {
  const TempDir dir;
  const std::string other = dir.path() / "other";
  WriteSyntheticDeepseekV4(other, {.vocab = 16});
  const CommandResult no_tokenizer = Generate({other, "--prompt", "a"});
  ExpectOneLine(no_tokenizer, "VN-DATA-001", {"tokenizer.json"});
  const CommandResult other_vocabulary =
      Generate({other, "--prompt", "a", "--tokenizer", kExample});
  ExpectOneLine(other_vocabulary, "VN-CALIB-004", {"vocabulary of 16"});
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{kExample},
        {kExample, "--prompt", "a", "--tokens", "0"},
        {kExample, "--prompt", "a", "--activations", "maybe"}}) {
    ExpectOneLine(Generate(arguments), "VN-ARG-001", {": command line: "});
  }
}

}  // namespace
}  // namespace vernier::testing

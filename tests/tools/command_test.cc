// Subcommands that need no calibration, run as a user would.
#include "tests/support/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "tests/support/source_tree.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::testing {
namespace {

using ::testing::HasSubstr;

TEST(CommandTest, HelpNamesEverySubcommand) {
  const CommandResult result = RunVernier({"--help"});
  EXPECT_EQ(result.exit_code, 0);
  for (const char* name : {"run", "calibrate", "export", "validate", "status", "amax", "plan",
                           "inspect", "tokenize", "trace", "layertest", "eval", "generate"}) {
    EXPECT_THAT(result.output, HasSubstr(std::string("\n  ") + name + " "));
    const CommandResult help = RunVernier({name, "--help"});
    EXPECT_EQ(help.exit_code, 0) << name;
    EXPECT_THAT(help.output, HasSubstr("Usage")) << name;
  }
}

TEST(CommandTest, VersionTellsOneBuildFromAnother) {
  const CommandResult result = RunVernier({"--version"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, ::testing::MatchesRegex("vernier [0-9.]+\ncommit    .+\nlibtorch  .+\n"
                                                     "SIMD      .+ of .+\ncompiler  .+\n"));
}

TEST(CommandTest, InspectJsonDescribesTheExample) {
  const CommandResult result = RunVernier({"inspect", kExample, "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const Json report = ParseJson(result.output, "inspect");
  EXPECT_THAT(result.output, HasSubstr("routed_expert"));
  EXPECT_THAT(result.output, HasSubstr("mxfp4"));
  EXPECT_TRUE(report.is_object());
}

TEST(CommandTest, PlanWritesNothing) {
  const TempDir dir;
  const CommandResult result =
      RunVernier({"plan", (kSourceTree / "recipes/quickstart.json").string(), "--output",
                  (dir.path() / "out").string(), "--run-dir", (dir.path() / "run").string()});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_TRUE(HashTree(dir.path()).empty());
  EXPECT_THAT(result.output, HasSubstr("routed_expert"));
  EXPECT_THAT(result.output, HasSubstr("nvfp4 (lossless)"));
}

TEST(CommandTest, PlanMeasuresTheMachineIfItIsAsked) {
  if (!VERNIER_TEST_WITH_TORCH) GTEST_SKIP() << "without libtorch nothing computes";
  const TempDir dir;
  const auto plan = [&](std::vector<std::string> flags) {
    std::vector<std::string> arguments = {
        "plan",      (kSourceTree / "recipes/quickstart.json").string(),
        "--output",  (dir.path() / "out").string(),
        "--run-dir", (dir.path() / "run").string()};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const CommandResult result = RunVernier(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return result.output;
  };
  EXPECT_THAT(plan({}), HasSubstr("Time, if the machine computes"));
  const std::string probed = plan({"--probe"});
  EXPECT_THAT(probed, HasSubstr("Time, as measured: the machine computes"));
  EXPECT_THAT(probed, HasSubstr("in their routed experts"));
  EXPECT_TRUE(HashTree(dir.path()).empty());
  const Json usual = Json::parse(plan({"--json"})),
             measured = Json::parse(plan({"--json", "--probe"}));
  EXPECT_FALSE(usual.at("speed").at("probed").get<bool>());
  EXPECT_TRUE(measured.at("speed").at("probed").get<bool>());
  for (const char* speed : {"dense_flops", "expert_flops", "bytes_per_second"}) {
    EXPECT_NE(usual.at("speed").at(speed), measured.at("speed").at(speed)) << speed;
  }
  EXPECT_NE(usual.at("seconds"), measured.at("seconds"));
}

TEST(CommandTest, PlanMeasuresNoProductsWhereNoneAreComputed) {
  const TempDir dir;
  const CommandResult result =
      RunVernier({"plan", (kSourceTree / "recipes/nvfp4-w4a16.json").string(), "--source",
                  std::string(VERNIER_TEST_DATA) + "/models/tiny-llama", "--output",
                  (dir.path() / "out").string(), "--run-dir", (dir.path() / "run").string(),
                  "--device", "cuda:0", "--probe"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("Time, as measured: the machine moves "));
}

TEST(CommandTest, EveryShippedRecipePlansTheExample) {
  for (const char* recipe : {"quickstart", "deepseek-v4-nvfp4-experts", "deepseek-v4-nvfp4-full"}) {
    const CommandResult result =
        RunVernier({"plan", kSourceTree.string() + "/recipes/" + recipe + ".json", "--source",
                    kExample, "--json"});
    EXPECT_EQ(result.exit_code, 0) << recipe << ": " << result.errors;
  }
}

TEST(CommandTest, WhatIsNoCommandIsOneLineWithACode) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{},
                                                    {"quantise"},
                                                    {"plan"},
                                                    {"inspect", "a", "--no-such-option"},
                                                    {"eval", kExample, "--windows", "-3"}}) {
    ExpectOneLine(RunVernier(arguments), "VN-ARG-001", {": command line: "});
  }
}

TEST(CommandTest, TokenizeGoesThereAndBack) {
  const CommandResult ids =
      RunVernier({"tokenize", kExample, "--jsonl"},
                 {.input = "{\"text\": \"SELECT count(*) FROM t;\"}\n{\"text\": \"\"}\n"});
  ASSERT_EQ(ids.exit_code, 0) << ids.errors;
  const CommandResult text = RunVernier({"tokenize", kExample, "--jsonl"}, {.input = ids.output});
  ASSERT_EQ(text.exit_code, 0) << text.errors;
  std::istringstream lines(text.output);
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_EQ(ParseJson(line, "line").at("text"), "SELECT count(*) FROM t;");
}

TEST(CommandTest, TokenizeWritesChatsByTheirTemplate) {
  const std::string chat = R"({"messages": [{"role": "user", "content": "SELECT 1"}]})"
                           "\n";
  const CommandResult without = RunVernier({"tokenize", kExample, "--jsonl"}, {.input = chat});
  ExpectOneLine(without, "VN-DATA-002", {": standard input, line 1: "});
  const TempDir dir;
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    std::filesystem::copy_file(std::filesystem::path(kExample) / name, dir.path() / name);
  }
  WriteFileAtomically(dir.path() / "chat_template.jinja",
                      "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}");
  const CommandResult with =
      RunVernier({"tokenize", dir.path().string(), "--jsonl"}, {.input = chat});
  ASSERT_EQ(with.exit_code, 0) << with.errors;
  const Json answer = ParseJson(with.output, "output");
  EXPECT_EQ(answer.at("text"), "<user>SELECT 1");
  const CommandResult sharegpt =
      RunVernier({"tokenize", dir.path().string(), "--jsonl"},
                 {.input = R"({"conversations": [{"from": "human", "value": "SELECT 1"}]})"});
  EXPECT_EQ(ParseJson(sharegpt.output, "output"), answer);
  const CommandResult ids =
      RunVernier({"tokenize", dir.path().string()}, {.input = "<user>SELECT 1"});
  EXPECT_EQ(answer.at("ids"), ParseJson(ids.output, "output"));
}

TEST(CommandTest, NothingIsWrittenIntoASource) {
  const TempDir dir;
  const std::filesystem::path source = dir.path() / "source";
  std::filesystem::copy(kExample, source);
  const auto files = [&] {
    return std::distance(std::filesystem::recursive_directory_iterator(source), {});
  };
  const auto before = files();
  const CommandResult output = RunVernier({"dequantize", source.string(), (source / "x").string()});
  EXPECT_THAT(output.errors, HasSubstr("VN-EXPORT-001"));
  const CommandResult run_dir =
      RunVernier({"dequantize", source.string(), (dir.path() / "out").string(), "--run-dir",
                  (source / "run").string()});
  EXPECT_THAT(run_dir.errors, HasSubstr("VN-EXPORT-001"));
  EXPECT_EQ(files(), before);
}

TEST(CommandTest, ValidateAcceptsTheReleasedLayout) {
  const CommandResult result = RunVernier({"validate", kExample, "--json", "--progress", "none"});
  EXPECT_EQ(result.exit_code, 0) << result.output << result.errors;
}

TEST(CommandTest, ValidateThatCannotLookExitsWithTwo) {
  const TempDir dir;
  const CommandResult result = RunVernier({"validate", dir.path().string()});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.errors, HasSubstr("VN-CKPT-001"));
}

}  // namespace
}  // namespace vernier::testing

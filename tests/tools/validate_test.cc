// `vernier validate` run as a user would, on a converted checkpoint and on broken ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "tests/support/command.h"
#include "tests/support/source_tree.h"
#include "tests/support/temp_dir.h"

namespace vernier::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// The example with NVFP4 experts and its MTP layer in MXFP4, as NVIDIA publishes DeepSeek-V4.
class ValidateTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TempDir;
    const CommandResult result =
        RunVernier({"convert", kExample, Checkpoint(), "--weights", "nvfp4", "--input-scale",
                    "0.01", "--progress", "none"});
    ASSERT_EQ(result.exit_code, 0) << result.errors;
  }
  static void TearDownTestSuite() {
    delete directory_;
    directory_ = nullptr;
  }

  static std::string Checkpoint() { return (directory_->path() / "nvfp4").string(); }

  static CommandResult Validate(std::vector<std::string> options) {
    std::vector<std::string> arguments = {"validate", Checkpoint(), "--progress", "none"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return RunVernier(arguments);
  }

  static Json ReportOf(const std::vector<std::string>& options) {
    std::vector<std::string> arguments = options;
    arguments.push_back("--json");
    const CommandResult result = Validate(arguments);
    EXPECT_LE(result.exit_code, 1) << result.errors;
    return ParseJson(result.output, "report");
  }

  static TempDir* directory_;
};

TempDir* ValidateTest::directory_ = nullptr;

TEST_F(ValidateTest, WarnsOfWhatAnEngineMisreads) {
  const CommandResult result = Validate({});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, AllOf(HasSubstr("V03"), HasSubstr("[TensorRT-LLM]"),
                                   HasSubstr("deepseek_v4_fp8: "), HasSubstr("devices  ")));
}

TEST_F(ValidateTest, AnEnginesReleaseMayBeNamed) {
  const CommandResult old = Validate({"--engine", "vllm@0.31"});
  EXPECT_EQ(old.exit_code, 0) << old.errors;
  EXPECT_THAT(old.output, AllOf(HasSubstr("V03"), HasSubstr("vLLM 0.31")));
  const CommandResult newer = Validate({"--engine", "vllm@0.32"});
  EXPECT_THAT(newer.output, AllOf(Not(HasSubstr("V03")), HasSubstr("vLLM 0.32")));
  const CommandResult unknown = Validate({"--engine", "vllm@9.9"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.errors, HasSubstr("VN-ARG-001: "));
}

TEST_F(ValidateTest, LooksThroughOneEnginesEyes) {
  const CommandResult result = Validate({"--engine", "sglang"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, AllOf(Not(HasSubstr("V03")), Not(HasSubstr("vLLM")),
                                   HasSubstr("hybrid FP8 and NVFP4")));
  EXPECT_EQ(ReportOf({"--engine", "trtllm"}).at("engines").size(), 1u);
}

TEST_F(ValidateTest, WhatCannotBeCutForTheDevicesIsAnError) {
  const CommandResult result = Validate({"--tensor-parallel", "8"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, AllOf(HasSubstr("error   V11"), HasSubstr("over 8")));
}

TEST_F(ValidateTest, AFullAuditFindsTheSameAndReadsMore) {
  const Json scales = ReportOf({});
  const Json full = ReportOf({"--full"});
  EXPECT_EQ(scales.at("depth"), "scales");
  EXPECT_EQ(full.at("depth"), "full");
  EXPECT_EQ(full.at("findings"), scales.at("findings"));
}

TEST_F(ValidateTest, TheSourceMakesEveryConvertedWeightExact) {
  const Json report = ReportOf({"--source", kExample});
  EXPECT_EQ(report.at("/errors/overall/weights"_json_pointer), 288);
  EXPECT_EQ(report.at("/errors/overall/exact"_json_pointer), 288);
  EXPECT_EQ(report.at("/errors/overall/relative_error"_json_pointer), 0.0);
  EXPECT_TRUE(report.at("/errors/overall/sqnr_db"_json_pointer).is_null());
}

TEST_F(ValidateTest, AJournalIsContinuedWithTheSameReport) {
  const std::string journal = (directory_->path() / "journal").string();
  const Json first = ReportOf({"--source", kExample, "--journal", journal});
  EXPECT_EQ(ReportOf({"--source", kExample, "--journal", journal}), first);
  EXPECT_EQ(ReportOf({"--source", kExample}), first);
}

TEST_F(ValidateTest, AJournalThatCannotBeWrittenIsExitCodeTwo) {
  const CommandResult result = Validate({"--journal", "/nowhere/journal"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.errors, HasSubstr("VN-FILE-"));
}

TEST_F(ValidateTest, ErrorsAreExitCodeOne) {
  const std::filesystem::path copy = directory_->path() / "broken";
  std::filesystem::copy(Checkpoint(), copy);
  Json config = ReadJsonFile(copy / "config.json");
  config["quantization_config"].erase("moe_quant_algo");
  WriteFileAtomically(copy / "config.json", config.dump());
  const CommandResult result = RunVernier({"validate", copy.string(), "--progress", "none"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, AllOf(HasSubstr("error   V05"), HasSubstr("error   V15"),
                                   HasSubstr("moe_quant_algo")));
}

TEST_F(ValidateTest, ExplainsWhatEachEngineMakesOfAModule) {
  const CommandResult result = Validate({"--explain", "mtp.0.ffn.experts"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, AllOf(HasSubstr("stored mxfp4"), HasSubstr("vLLM          mxfp4: "),
                                   HasSubstr("TensorRT-LLM  nvfp4 (!): ")));
  const CommandResult json = Validate({"--explain", "*.wkv", "--engine", "vllm", "--json"});
  const Json modules = ParseJson(json.output, "modules");
  ASSERT_EQ(modules.size(), 7u);  // six layers and MTP
  EXPECT_EQ(modules[0].at("module"), "layers.0.attn.fused_wqa_wkv");
  EXPECT_EQ(modules[0].at("members"), Json({"layers.0.attn.wq_a", "layers.0.attn.wkv"}));
  EXPECT_EQ(modules[0].at("/engines/0/built"_json_pointer), "fp8_block");
  EXPECT_EQ(Validate({"--explain", "no.such.module"}).exit_code, 2);
}

TEST_F(ValidateTest, UnknownEnginesAndSizesAreRefused) {
  EXPECT_NE(Validate({"--engine", "llama.cpp"}).exit_code, 0);
  EXPECT_NE(Validate({"--tensor-parallel", "3"}).exit_code, 0);
}

TEST(ValidateRulesTest, ListsThem) {
  const CommandResult result = RunVernier({"validate", "--list-rules"});
  EXPECT_EQ(result.exit_code, 0);
  for (const char* rule : {"B01", "C03", "S04", "V15"}) {
    EXPECT_THAT(result.output, HasSubstr(std::string(rule) + "  "));
  }
}

}  // namespace
}  // namespace vernier::testing

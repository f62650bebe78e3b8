// Factors that move from norms and layers into weights, from a recipe to the checkpoint.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "run/fold_record.h"
#include "run/store.h"
#include "tests/support/command.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/model_runs.h"
#include "tests/tools/recipe_builder.h"

namespace vernier::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class SmoothTest : public ModelRunTest {
 protected:
  // Of a run.
  std::vector<std::string> Arguments(const std::string& name, const std::string& model,
                                     const std::string& smooth = "auto",
                                     const std::string& method = "local_hessian",
                                     std::vector<std::string> options = {}) {
    const Json rule = {{"role", {"attention", "dense_mlp", "shared_expert", "routed_expert"}},
                       {"format", "nvfp4"},
                       {"scale", method},
                       {"smooth", smooth}};
    options.insert(options.begin(), {"--progress", "json"});
    return ArgumentsOf("run", {.name = name, .model = model, .quantize = Json::array({rule})},
                       options);
  }

  CommandResult Export(std::vector<std::string> arguments, const std::string& name) {
    arguments[0] = "export";
    fs::remove_all(Place(name, "out"));
    return RunVernier(arguments);
  }

  std::vector<run::FoldRecord> FoldsOf(const std::string& name) const {
    return run::ListFolds(run::Store::OpenForReading(Place(name, "run")).database());
  }
};

// The audit, which knows the factors from a file of their own, finds the source's values behind
// them: norms to BF16's rounding, weights to NVFP4's.
TEST_F(SmoothTest, WhatIsWrittenIsTheSourceRescaled) {
  for (const std::string model : {"tiny-llama", "qwen2", "mixtral", "tiny-deepseek-v3"}) {
    // Some of these models have defects of their own.
    const CommandResult result = RunVernier(Arguments(model, model));
    EXPECT_THAT(result.output, AllOf(HasSubstr("smooth       "), HasSubstr("converted  "),
                                     Not(HasSubstr("  V12")), Not(HasSubstr("  C0"))))
        << model;
    int used = 0;
    for (const run::FoldRecord& fold : FoldsOf(model)) {
      used += !fold.scales.empty();
      EXPECT_LE(fold.error, fold.other_error) << fold.name;
      EXPECT_EQ(fold.exponent == 0, fold.scales.empty()) << fold.name;
    }
    EXPECT_GT(used, 0) << model;
  }
}

TEST_F(SmoothTest, TheManifestSaysWhatWasFolded) {
  Run(Arguments("a", "tiny-llama"));
  const Json manifest = ReadJsonFile(Place("a", "out/vernier_manifest.json"));
  ASSERT_EQ(manifest.at("smooth").size(), 12U);
  const Json& fold = manifest.at("smooth")[0];
  EXPECT_EQ(fold.at("kind"), "norm");
  EXPECT_EQ(fold.at("producers"), Json({"model.layers.0.input_layernorm"}));
  EXPECT_EQ(fold.at("consumers").size(), 3U);
  for (const Json& tensor : manifest.at("tensors")) {
    if (tensor.at("name") != "model.layers.0.input_layernorm.weight") continue;
    EXPECT_EQ(tensor.at("action"), "converted");
    EXPECT_EQ(tensor.at("by"), "smooth");
  }
}

TEST_F(SmoothTest, AnAuditFindsOtherFactors) {
  Run(Arguments("a", "tiny-llama"));
  const fs::path factors = Place("a", "out/vernier_folds.f32");
  std::string bytes = ReadWholeFile(factors);
  const std::vector<std::string> validate = {"validate", Place("a", "out"), "--source",
                                             CopyTestModel(dir_.path(), "tiny-llama").string()};
  EXPECT_EQ(RunVernier(validate).exit_code, 0);
  for (size_t i = 3; i < 256; i += 4) bytes[i] = static_cast<char>(bytes[i] + 1);  // four times
  WriteFileAtomically(factors, bytes);
  EXPECT_THAT(RunVernier(validate).output, HasSubstr("V12"));
  WriteFileAtomically(factors, bytes.substr(0, 100));
  const CommandResult refused = RunVernier(validate);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.errors, AllOf(HasSubstr("vernier: VN-FILE-005: "),
                                    HasSubstr("vernier_folds.f32: does not hold the 128 factors")));
  EXPECT_EQ(RunVernier({"validate", Place("a", "out")}).exit_code, 0) << "without a source";
}

TEST_F(SmoothTest, KilledItGoesOnWithTheSameBytes) {
  // Small batches, so that saves fall into every stage of a layer.
  Run(Arguments("calm", "tiny-qwen3-moe", "auto", "gptq", {"--batch-size", "1"}));
  const auto arguments = Arguments("killed", "tiny-qwen3-moe", "auto", "gptq",
                                   {"--batch-size", "1", "--save-interval", "0"});
  int kills = 0;
  for (const double fraction : {0.2, 0.45, 0.7}) {
    const CommandResult killed = RunVernier(arguments, {.kill_when = Past("calibrate", fraction)});
    if (killed.exit_code == kKilled) ++kills;
  }
  EXPECT_GE(kills, 2);
  Run(arguments);
  EXPECT_EQ(Output("killed"), Output("calm"));
  EXPECT_GT(FoldsOf("calm").size(), 0U);
}

TEST_F(SmoothTest, BytesDoNotDependOnThreadsOrWhereHiddenStatesAre) {
  Run(Arguments("a", "mixtral"));
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{"--threads", "1"}, {"--host-memory", "1KiB"}}) {
    Run(Arguments("b", "mixtral", "auto", "local_hessian", options));
    EXPECT_EQ(Output("b"), Output("a")) << options[0];
    fs::remove_all(dir_.path() / "b");
  }
}

TEST_F(SmoothTest, AnExportNeedsACalibrationThatChose) {
  Run(Arguments("a", "tiny-llama", "none"));
  ExpectFailure(Export(Arguments("a", "tiny-llama"), "a"), "VN-STORE-004", {"smooth"});
}

TEST_F(SmoothTest, WeightsSolvedBehindAFoldNeedIt) {
  Run(Arguments("a", "tiny-llama", "auto", "gptq"));
  ExpectFailure(Export(Arguments("a", "tiny-llama", "none", "gptq"), "a"), "VN-STORE-004",
                {"solved behind a fold"});
  EXPECT_EQ(Export(Arguments("a", "tiny-llama", "none"), "a").exit_code, 0) << "local_hessian";
}

TEST_F(SmoothTest, FoldsAreNotMerged) {
  Run(Arguments("a", "tiny-llama"));
  const std::string run = Place("a", "run");
  ExpectFailure(RunVernier({"amax", run, "--merge", run, "--into", Place("m", "")}), "VN-STORE-001",
                {"smooth"});
}

}  // namespace
}  // namespace vernier::testing

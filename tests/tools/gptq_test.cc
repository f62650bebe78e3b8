// Weights that a calibration solves itself, from a recipe to the checkpoint.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/checkpoint.h"
#include "run/solved_weight.h"
#include "run/store.h"
#include "tests/support/command.h"
#include "tests/support/read_tensor.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/model_runs.h"
#include "tests/tools/recipe_builder.h"

namespace vernier::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class GptqTest : public ModelRunTest {
 protected:
  // Of a run.
  std::vector<std::string> Arguments(const std::string& name, const std::string& model,
                                     std::vector<std::string> options = {},
                                     const std::string& method = "gptq", int samples = 16) {
    const Json rule = {{"role", {"attention", "dense_mlp", "routed_expert"}},
                       {"format", "nvfp4"},
                       {"scale", method}};
    return ArgumentsOfRun(
        {.name = name, .model = model, .quantize = Json::array({rule}), .samples = samples},
        std::move(options));
  }
};

TEST_F(GptqTest, TheExportWritesWhatWasSolved) {
  const CommandResult result = Run(Arguments("a", "tiny-llama"));
  const run::Store store = run::Store::OpenForReading(dir_.path() / "a/run");
  const std::vector<run::SolvedWeight> weights = run::ListSolvedWeights(store.database());
  ASSERT_EQ(weights.size(), 21U);
  const auto output = checkpoint::Checkpoint::Open(dir_.path() / "a/out");
  int64_t solved = 0;
  for (const run::SolvedWeight& weight : weights) {
    EXPECT_EQ(weight.tokens, 16 * 64);
    EXPECT_LE(weight.error, weight.other_error) << weight.module;
    if (weight.method != "gptq") continue;
    ++solved;
    std::vector<std::byte> written = ReadTensor(output, weight.module + ".weight");
    const std::vector<std::byte> scales = ReadTensor(output, weight.module + ".weight_scale");
    written.insert(written.end(), scales.begin(), scales.end());
    EXPECT_EQ(written, run::ReadSolvedWeight(store.run_dir(), weight)) << weight.module;
  }
  EXPECT_GE(solved, 18) << "better on tokens that it has not seen";
  EXPECT_THAT(result.output,
              HasSubstr("gptq         " + std::to_string(solved) + " of 21 weights"));
  EXPECT_THAT(RunVernier({"status", (dir_.path() / "a/run").string()}).output,
              HasSubstr(std::to_string(solved) + " weights solved"));
}

// Nor on batches, as far as the inputs do not (RecorderSumsTest): products of other heights have
// other last bits on some processors.
TEST_F(GptqTest, BytesDoNotDependOnThreadsOrWhereHiddenStatesAre) {
  Run(Arguments("a", "tiny-qwen3-moe"));
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{"--threads", "1"}, {"--host-memory", "1KiB"}}) {
    Run(Arguments("b", "tiny-qwen3-moe", options));
    EXPECT_EQ(Output("b"), Output("a")) << options[0];
    fs::remove_all(dir_.path() / "b");
  }
}

TEST_F(GptqTest, KilledItGoesOnWithTheSameBytes) {
  Run(Arguments("calm", "tiny-qwen3-moe"));
  const auto arguments = Arguments("killed", "tiny-qwen3-moe", {"--save-interval", "0"});
  int kills = 0;
  for (const double fraction : {0.1, 0.4, 0.6, 0.8}) {
    const CommandResult killed = RunVernier(arguments, {.kill_when = Past("calibrate", fraction)});
    if (killed.exit_code == kKilled) ++kills;
  }
  EXPECT_GE(kills, 2);
  Run(arguments);
  EXPECT_EQ(Output("killed"), Output("calm"));
}

// A layer whose saved weights are damaged begins anew.
TEST_F(GptqTest, DamageInAnUnfinishedLayerCostsThatLayer) {
  Run(Arguments("calm", "tiny-qwen3-moe", {"--batch-size", "1"}));
  const auto arguments =
      Arguments("killed", "tiny-qwen3-moe", {"--save-interval", "0", "--batch-size", "1"});
  std::vector<run::SolvedWeight> saved;
  for (int attempt = 0; saved.empty() && attempt < 20; ++attempt) {
    const CommandResult killed = RunVernier(
        arguments,
        {.kill_after = std::chrono::milliseconds(40 + 7 * attempt), .kill_after_report = true});
    if (killed.exit_code != kKilled) break;
    if (!fs::exists(dir_.path() / "killed/run/vernier.sqlite")) continue;
    const run::Store store = run::Store::OpenForReading(dir_.path() / "killed/run");
    saved = run::SolvedWeightsOfUnit(store.database(), store.LastLayer().value_or(-1) + 1);
    std::erase_if(saved, [](const run::SolvedWeight& weight) { return !weight.HasBytes(); });
  }
  if (saved.empty()) GTEST_SKIP() << "it was never killed between a save and its layer's end";
  const std::byte changed[] = {std::byte{0x5A}, std::byte{0xA5}, std::byte{0x5A}};
  File::OpenForWrite(dir_.path() / "killed/run" / saved[0].place.file, /*truncate=*/false)
      .WriteAt(saved[0].place.offset, changed);
  Run(arguments);
  EXPECT_EQ(Output("killed"), Output("calm"));
}

TEST_F(GptqTest, FewTokensAreLeftToTheExport) {
  const CommandResult result = Run(Arguments("a", "tiny-llama", {}, "gptq", /*samples=*/2));
  EXPECT_THAT(result.output, HasSubstr("gptq         0 of 21 weights"));
  const Json gptq = ReadJsonFile(dir_.path() / "a/out/vernier_manifest.json").at("gptq");
  EXPECT_EQ(gptq.at("solved"), 0);
  ASSERT_EQ(gptq.at("left").size(), 21U);
  EXPECT_EQ(gptq.at("left")[0].at("why"), "few_tokens");
  EXPECT_EQ(gptq.at("left")[0].at("tokens"), 2 * 64);
  Run(Arguments("b", "tiny-llama", {}, "local_hessian", /*samples=*/2));
  EXPECT_EQ(Output("a").at("model.safetensors"), Output("b").at("model.safetensors"));
}

TEST_F(GptqTest, AnExportNeedsACalibrationThatSolved) {
  Run(Arguments("a", "tiny-llama", {}, "mse"));
  std::vector<std::string> arguments = Arguments("a", "tiny-llama");
  arguments[0] = "export";
  fs::remove_all(dir_.path() / "a/out");
  ExpectFailure(RunVernier(arguments), "VN-STORE-004", {"by gptq"});
}

TEST_F(GptqTest, AnUnfinishedCalibrationIsToBeFinished) {
  const auto arguments = Arguments("a", "tiny-llama", {"--save-interval", "0"});
  ASSERT_EQ(RunVernier(arguments, {.kill_when = Past("calibrate", 0.4)}).exit_code, kKilled);
  std::vector<std::string> only_export = arguments;
  only_export[0] = "export";
  ExpectFailure(RunVernier(only_export), "VN-STORE-004", {"is not finished"});
}

TEST_F(GptqTest, SolvedWeightsAreNotMerged) {
  Run(Arguments("a", "tiny-llama"));
  const std::string run = (dir_.path() / "a/run").string();
  ExpectFailure(RunVernier({"amax", run, "--merge", run, "--into", (dir_.path() / "m").string()}),
                "VN-STORE-001", {"by gptq"});
}

TEST_F(GptqTest, TheStatisticsStayForOtherMethods) {
  Run(Arguments("a", "tiny-llama"));
  std::vector<std::string> arguments = Arguments("a", "tiny-llama", {}, "local_hessian");
  arguments[0] = "export";
  fs::remove_all(dir_.path() / "a/out");
  Run(arguments);
  Run(Arguments("b", "tiny-llama", {}, "local_hessian"));
  EXPECT_EQ(Output("a").at("model.safetensors"), Output("b").at("model.safetensors"));
}

TEST_F(GptqTest, DamageIsNoticed) {
  Run(Arguments("a", "tiny-llama"));
  for (const auto& entry : fs::directory_iterator(dir_.path() / "a/run")) {
    if (!entry.path().filename().string().starts_with("solved-0001")) continue;
    const std::byte changed[] = {std::byte{0x5A}, std::byte{0xA5}};
    File::OpenForWrite(entry.path(), /*truncate=*/false).WriteAt(100, changed);
  }
  std::vector<std::string> arguments = Arguments("a", "tiny-llama");
  arguments[0] = "export";
  fs::remove_all(dir_.path() / "a/out");
  ExpectFailure(RunVernier(arguments), "VN-STORE-002", {"solved"});
}

}  // namespace
}  // namespace vernier::testing

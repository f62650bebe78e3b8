// Formats within a budget, from a recipe to the checkpoint.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "run/format_error_record.h"
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

class BudgetTest : public ModelRunTest {
 protected:
  std::vector<std::string> Arguments(const std::string& command, const std::string& name,
                                     const std::string& model,
                                     const std::vector<std::string>& options,
                                     const std::string& dialect = "modelopt") {
    const Json rule = {{"role", {"attention", "dense_mlp", "shared_expert", "routed_expert"}},
                       {"format", "nvfp4"}};
    return ArgumentsOf(command,
                       {.name = name,
                        .model = model,
                        .quantize = Json::array({rule}),
                        .fields = {{"export", {{"dialect", dialect}}}}},
                       options);
  }
};

// One calibration serves every budget; what plan shows is what export writes, and the audit reads.
TEST_F(BudgetTest, OneCalibrationServesEveryBudget) {
  Run(Arguments("run", "a", "tiny-llama", {"--budget", "5.5", "--progress", "none"}));
  double error = Manifest("a").at("budget").at("error_in_nvfp4");
  for (const std::string budget : {"5.5", "7", "12"}) {
    const Json plan = ParseJson(
        Run(Arguments("plan", "a", "tiny-llama", {"--budget", budget, "--json"})).output, "plan");
    fs::remove_all(Place("a", "out"));
    const CommandResult result =
        Run(Arguments("export", "a", "tiny-llama", {"--budget", budget, "--progress", "none"}));
    EXPECT_THAT(result.output, HasSubstr("budget       "));
    const Json chosen = Manifest("a").at("budget");
    EXPECT_EQ(chosen, plan.at("budget"));
    EXPECT_EQ(plan.at("disk").at("output_bytes"), plan.at("output_file_bytes"));
    EXPECT_EQ(fs::file_size(Place("a", "out/model.safetensors")), plan.at("output_file_bytes"));
    EXPECT_LE(chosen.at("bits_per_weight"), std::stod(budget));
    EXPECT_LT(chosen.at("error"), error) << budget;
    error = chosen.at("error");
    const Json config = ReadJsonFile(Place("a", "out/config.json")).at("quantization_config");
    EXPECT_EQ(config.at("quant_algo"), budget == "12" ? "FP8" : "MIXED_PRECISION");
  }
}

TEST_F(BudgetTest, BothDialectsAndExpertsPassTheAudit) {
  for (const std::string model : {"tiny-llama", "mixtral"}) {
    for (const std::string dialect : {"modelopt", "compressed-tensors"}) {
      const std::string name = model + dialect;
      const CommandResult result = RunVernier(
          Arguments("run", name, model,
                    {"--budget", "7", "--effort", "balanced", "--progress", "none"}, dialect));
      // Some of these models have defects of their own.
      EXPECT_THAT(result.output,
                  AllOf(HasSubstr("converted  "), Not(HasSubstr("  V1")), Not(HasSubstr("  C0"))))
          << name << result.errors;
      std::set<std::string> formats;
      const Json manifest = Manifest(name);
      for (const Json& group : manifest.at("scale_groups")) {
        formats.insert(group.at("format").get<std::string>());
      }
      EXPECT_TRUE(formats.contains("nvfp4")) << name;
      EXPECT_GT(formats.size(), 1U) << name;
    }
  }
}

TEST_F(BudgetTest, BeforeACalibrationPlanSaysWhatWillBe) {
  const CommandResult result = Run(Arguments("plan", "a", "tiny-llama", {"--budget", "6"}));
  EXPECT_THAT(result.output, HasSubstr("once a calibration has measured what they cost"));
}

TEST_F(BudgetTest, ACalibrationWithoutOneIsRefused) {
  Run(Arguments("calibrate", "a", "tiny-llama", {"--progress", "none"}));
  ExpectFailure(RunVernier(Arguments("export", "a", "tiny-llama", {"--budget", "6"})),
                "VN-STORE-001", {"calibrated without a budget"});
  const CommandResult plan = Run(Arguments("plan", "a", "tiny-llama", {"--budget", "6"}));
  EXPECT_THAT(plan.output, HasSubstr("calibrated without a budget"));
  Run(Arguments("export", "a", "tiny-llama", {"--progress", "none"}));
}

// What was seen before cannot be measured any more; a finished one serves exports without, too.
TEST_F(BudgetTest, AnUnfinishedCalibrationWithoutOneDoesNotGoOnWithOne) {
  std::vector<std::string> options = {"--effort", "best", "--progress", "json"};
  const CommandResult killed = RunVernier(Arguments("calibrate", "a", "tiny-qwen3-moe", options),
                                          {.kill_when = Past("calibrate", 0.5)});
  ASSERT_EQ(killed.exit_code, kKilled);
  options.insert(options.end(), {"--budget", "6"});
  ExpectFailure(RunVernier(Arguments("calibrate", "a", "tiny-qwen3-moe", options)), "VN-STORE-001",
                {"tried_formats"});
  const CommandResult plan = Run(Arguments("plan", "a", "tiny-qwen3-moe", {"--budget", "6"}));
  EXPECT_THAT(plan.output, HasSubstr("once a calibration has measured"));
}

TEST_F(BudgetTest, AFinishedOneServesExportsWithoutABudget) {
  Run(Arguments("calibrate", "a", "tiny-llama", {"--budget", "6", "--progress", "none"}));
  Run(Arguments("export", "a", "tiny-llama", {"--progress", "none"}));
  EXPECT_FALSE(Manifest("a").contains("budget"));
}

TEST_F(BudgetTest, KilledItGoesOnWithTheSameBytes) {
  const std::vector<std::string> options = {"--budget", "6",    "--batch-size", "1",
                                            "--effort", "best", "--progress",   "json"};
  Run(Arguments("run", "calm", "tiny-qwen3-moe", options));
  std::vector<std::string> arguments = Arguments("run", "killed", "tiny-qwen3-moe", options);
  arguments.insert(arguments.end(), {"--save-interval", "0"});
  int kills = 0;
  for (const double fraction : {0.2, 0.45, 0.7}) {
    const CommandResult killed = RunVernier(arguments, {.kill_when = Past("calibrate", fraction)});
    if (killed.exit_code == kKilled) ++kills;
  }
  EXPECT_GE(kills, 2);
  Run(arguments);
  EXPECT_EQ(Output("killed"), Output("calm"));
  const run::Store store = run::Store::OpenForReading(Place("killed", "run"));
  EXPECT_FALSE(run::ListFormatErrors(store.database()).empty());
}

TEST_F(BudgetTest, MeasurementsAreNotMerged) {
  Run(Arguments("calibrate", "a", "tiny-llama", {"--budget", "6", "--progress", "none"}));
  const std::string run = Place("a", "run");
  ExpectFailure(RunVernier({"amax", run, "--merge", run, "--into", Place("m", "")}), "VN-STORE-001",
                {"budget"});
}

}  // namespace
}  // namespace vernier::testing

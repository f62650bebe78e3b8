// What --effort and propagate make of a recipe that leaves scales open.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "run/solved_weight.h"
#include "run/statistic_rows.h"
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

class EffortTest : public ModelRunTest {
 protected:
  // Of a run; `fields` replace the recipe's.
  std::vector<std::string> Arguments(const std::string& name, const std::string& model,
                                     std::vector<std::string> options,
                                     const Json& fields = Json::object()) {
    const Json rule = {{"role", {"attention", "dense_mlp", "routed_expert"}}, {"format", "nvfp4"}};
    return ArgumentsOfRun(
        {.name = name, .model = model, .quantize = Json::array({rule}), .fields = fields},
        std::move(options));
  }

  Json Plan(const std::string& name, std::vector<std::string> options) {
    std::vector<std::string> arguments = Arguments(name, "tiny-llama", std::move(options));
    arguments[0] = "plan";
    arguments.erase(arguments.begin() + 2, arguments.begin() + 4);
    arguments.push_back("--json");
    return ParseJson(Run(arguments).output, "plan").at("calibration");
  }
};

TEST_F(EffortTest, DecidesWhatRulesLeaveOpen) {
  const std::map<std::string, std::string> scales = {
      {"fast", "mse"}, {"balanced", "local_hessian"}, {"best", "gptq"}};
  for (const auto& [effort, scale] : scales) {
    Run(Arguments(effort, "tiny-llama", {"--effort", effort}));
    const Json manifest = Manifest(effort);
    for (const Json& group : manifest.at("scale_groups")) EXPECT_EQ(group.at("scale"), scale);
    EXPECT_EQ(manifest.contains("smooth"), effort != "fast");
  }
  Run(Arguments("default", "tiny-llama", {}));
  EXPECT_EQ(Output("default"), Output("fast"));
}

TEST_F(EffortTest, RulesThatSayItAreLeftAlone) {
  const Json rules = {{{"role", "attention"}, {"format", "nvfp4"}, {"scale", "max"}},
                      {{"role", "dense_mlp"}, {"format", "nvfp4"}, {"smooth", "none"}}};
  Run(Arguments("a", "tiny-llama", {"--effort", "balanced"}, {{"quantize", rules}}));
  const Json manifest = Manifest("a");
  for (const Json& group : manifest.at("scale_groups")) {
    const bool is_mlp = group.at("modules").dump().find(".mlp.") != std::string::npos;
    EXPECT_EQ(group.at("scale"), is_mlp ? "local_hessian" : "max");
  }
  for (const Json& fold : manifest.at("smooth")) {
    EXPECT_THAT(fold.at("consumers").dump(), Not(HasSubstr(".mlp.")));
  }
}

TEST_F(EffortTest, WithNothingLeftOpenItIsRefused) {
  const Json rules = {{{"role", "attention"}, {"format", "fp8_channel"}}};
  ExpectFailure(
      RunVernier(Arguments("a", "tiny-llama", {"--effort", "best"}, {{"quantize", rules}})),
      "VN-RECIPE-003", {"effort"});
  ExpectFailure(RunVernier(Arguments("b", "tiny-llama", {}, {{"propagate", "quantised"}})),
                "VN-RECIPE-003", {"propagate", "gptq"});
}

// Inputs of the first layer are what they are without; those of the others are not.
TEST_F(EffortTest, LaterLayersSeeWhatQuantisedOnesPassOn) {
  Run(Arguments("none", "tiny-qwen3-moe", {"--effort", "best"}, {{"propagate", "none"}}));
  Run(Arguments("best", "tiny-qwen3-moe", {"--effort", "best"}));
  const run::Store none = StoreOf("none"), best = StoreOf("best");
  const auto amax_in = [](const run::Store& store, int layer) {
    std::map<std::string, float> amax;
    for (const run::InputAmax& input : store.Inputs()) {
      if (input.layer == layer) amax[input.module] = input.amax;
    }
    return amax;
  };
  EXPECT_EQ(amax_in(none, 0), amax_in(best, 0));
  EXPECT_NE(amax_in(none, 1), amax_in(best, 1));
}

// Hidden states in files: a second run makes files anew that the first one's save named.
TEST_F(EffortTest, KilledWithHiddenStatesInFilesItGoesOnToo) {
  const std::vector<std::string> options = {"--effort", "best", "--host-memory", "1KiB"};
  Run(Arguments("calm", "tiny-qwen3-moe", options));
  std::vector<std::string> arguments = Arguments("killed", "tiny-qwen3-moe", options);
  arguments.insert(arguments.end(), {"--save-interval", "0"});
  for (const double fraction : {0.3, 0.6}) {
    RunVernier(arguments, {.kill_when = Past("calibrate", fraction)});
  }
  Run(arguments);
  EXPECT_EQ(Output("killed"), Output("calm"));
}

TEST_F(EffortTest, KilledItGoesOnWithTheSameBytes) {
  // Small batches, so that saves fall into every stage of a layer.
  const std::vector<std::string> options = {"--effort", "best", "--batch-size", "1"};
  Run(Arguments("calm", "tiny-qwen3-moe", options));
  std::vector<std::string> arguments = Arguments("killed", "tiny-qwen3-moe", options);
  arguments.insert(arguments.end(), {"--save-interval", "0"});
  int kills = 0;
  for (const double fraction : {0.1, 0.25, 0.45, 0.6, 0.8}) {
    const CommandResult killed = RunVernier(arguments, {.kill_when = Past("calibrate", fraction)});
    if (killed.exit_code == kKilled) ++kills;
  }
  EXPECT_GE(kills, 2);
  Run(arguments);
  EXPECT_EQ(Output("killed"), Output("calm"));
}

TEST_F(EffortTest, BytesDoNotDependOnThreadsOrWhereHiddenStatesAre) {
  Run(Arguments("a", "tiny-qwen3-moe", {"--effort", "best"}));
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{"--threads", "1"}, {"--host-memory", "1KiB"}}) {
    std::vector<std::string> all = {"--effort", "best"};
    all.insert(all.end(), options.begin(), options.end());
    Run(Arguments("b", "tiny-qwen3-moe", all));
    EXPECT_EQ(Output("b"), Output("a")) << options[0];
    fs::remove_all(dir_.path() / "b");
  }
}

// Scales of other methods come from the same calibration.
TEST_F(EffortTest, ALessAmbitiousExportNeedsNoOtherCalibration) {
  Run(Arguments("a", "tiny-llama", {"--effort", "best"}));
  std::vector<std::string> arguments = Arguments("a", "tiny-llama", {"--effort", "balanced"});
  arguments[0] = "export";
  fs::remove_all(Place("a", "out"));
  EXPECT_THAT(Run(arguments).output, AllOf(HasSubstr("smooth  "), Not(HasSubstr("gptq  "))));
}

TEST_F(EffortTest, PlanSaysWhatTheCalibrationDecides) {
  const Json fast = Plan("a", {"--effort", "fast"});
  EXPECT_EQ(fast.at("folds"), 0);
  EXPECT_EQ(fast.at("solved_weights"), 0);
  EXPECT_EQ(fast.at("tried_weights"), 0);
  const Json best = Plan("a", {"--effort", "best", "--budget", "6"});
  EXPECT_EQ(best.at("folds"), 12);
  EXPECT_EQ(best.at("solved_weights"), 21);
  EXPECT_EQ(best.at("tried_weights"), 21);
  EXPECT_EQ(best.at("runs_layers_twice"), true);
  const std::vector<std::string> arguments = Arguments("a", "tiny-llama", {"--effort", "best"});
  EXPECT_THAT(
      Run({"plan", arguments[1], "--effort", "best"}).output,
      HasSubstr("decides on factors at 12 places, 21 weights by gptq; each layer runs twice"));
}

}  // namespace
}  // namespace vernier::testing

#include "report/run_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "run/export_record.h"
#include "run/module_record.h"
#include "run/run_log.h"
#include "tests/support/temp_dir.h"

namespace vernier::report {
namespace {

using run::InputAmax;
using run::Store;

class RunFactsTest : public ::testing::Test {
 protected:
  RunFactsTest() : store_(Store::Open(dir_.path() / "run")) {}

  void CommitLayer(int layer, std::vector<InputAmax> inputs) {
    for (InputAmax& input : inputs) input.layer = layer;
    store_.CommitLayer({.layer = layer,
                        .seconds = 1.5,
                        .statistics = run::AmaxRows(inputs),
                        .activations = {.file_name = "h", .bytes = 1, .hash = "h"}});
  }

  void NameModules(const std::vector<run::ModuleRecord>& modules) {
    run::Transaction transaction(store_.database());
    run::SaveModules(store_.database(), modules);
    transaction.Commit();
  }

  testing::TempDir dir_;
  Store store_;
};

TEST_F(RunFactsTest, AnEmptyStoreHasEmptyFacts) {
  const Json facts = RunFacts(store_);
  EXPECT_EQ(facts.at("calibration").at("statistics"), 0);
  EXPECT_TRUE(facts.at("calibration").at("statistics_by_name").empty());
  EXPECT_TRUE(facts.at("calibration").at("samples").is_null());
  EXPECT_TRUE(facts.at("calibration").at("most_tokens").is_null());
  for (const char* field :
       {"settings", "phases", "inputs", "expert_tokens", "exports", "commands", "events"}) {
    EXPECT_TRUE(facts.at(field).empty()) << field;
  }
}

TEST_F(RunFactsTest, SumsUpByLayerAndKind) {
  NameModules({{"layers.0.ffn.experts.0.w1", "routed_expert", "w1", 0},
               {"layers.0.ffn.experts.1.w1", "routed_expert", "w1", 1},
               {"layers.0.ffn.experts.2.w1", "routed_expert", "w1", 2},
               {"layers.1.attn.wo", "", "wo", -1}});
  CommitLayer(0, {{.module = "layers.0.ffn.experts.0.w1", .amax = 4, .tokens = 10},
                  {.module = "layers.0.ffn.experts.2.w1", .amax = 2, .tokens = 30},
                  {.module = "layers.0.ffn.experts.1.w1", .amax = 0, .tokens = 0}});
  CommitLayer(1, {{.module = "layers.1.attn.wo", .amax = 7, .tokens = 40}});
  const Json facts = RunFacts(store_);
  ASSERT_EQ(facts.at("inputs").size(), 2u);
  EXPECT_EQ(facts.at("inputs")[0], Json({{"layer", 0},
                                         {"kind", "routed_expert w1"},
                                         {"count", 2},
                                         {"min", 2.0},
                                         {"lower_quartile", 2.0},
                                         {"median", 2.0},
                                         {"upper_quartile", 4.0},
                                         {"max", 4.0}}))
      << "without the module that saw no token";
  EXPECT_EQ(facts.at("inputs")[1].at("kind"), "wo") << "of a store that does not say roles";
  EXPECT_EQ(facts.at("expert_tokens"), Json::array({{{"layer", 0}, {"tokens", {10, 0, 30}}}}));
  const Json& layer = facts.at("calibration").at("layers").at(0);
  EXPECT_EQ(layer.at("modules"), 3);
  EXPECT_EQ(layer.at("unseen"), 1);
  EXPECT_DOUBLE_EQ(layer.at("seconds").get<double>(), 1.5);
  EXPECT_EQ(facts.at("calibration").at("unseen_modules"), Json({"layers.0.ffn.experts.1.w1"}));
}

TEST_F(RunFactsTest, TellsSettingsCommandsAndExports) {
  store_.RequireIdentity(
      {{"source", "f"}, {"calibration.samples", "32"}, {"calibration.sequence_length", "512"}});
  const run::Database& database = store_.database();
  const int64_t first = run::BeginCommand(database, "vernier run a.json", "calibrate export");
  run::EndCommand(database, first, run::CommandOutcome::kInterrupted, "stopped");
  const int64_t refused = run::BeginCommand(database, "vernier run b.json", "calibrate");
  run::EndCommand(database, refused, run::CommandOutcome::kRefused, "another run");
  run::BeginCommand(database, "vernier run a.json", "calibrate export");
  run::LogEvent(database, "busy", "calibrate: processors 90 %");
  run::BeginExport(database, {.plan_hash = "p", .output = "/out", .shards = 2, .bytes = 99});

  const Json facts = RunFacts(store_);
  EXPECT_EQ(facts.at("calibration").at("most_tokens"), 32 * 512);
  EXPECT_EQ(facts.at("settings").size(), 2u) << "of the calibration alone";
  ASSERT_EQ(facts.at("commands").size(), 2u) << "without the one that was refused";
  EXPECT_EQ(facts.at("commands")[0].at("outcome"), "interrupted");
  EXPECT_TRUE(facts.at("commands")[1].at("outcome").is_null());
  ASSERT_EQ(facts.at("events").size(), 1u);
  EXPECT_EQ(facts.at("events")[0].at("kind"), "busy");
  EXPECT_EQ(facts.at("events")[0].at("detail"), "calibrate: processors 90 %");
  EXPECT_EQ(facts.at("exports")[0].at("shards"), 2);
  EXPECT_EQ(facts.at("exports")[0].at("shards_done"), 0);
  EXPECT_TRUE(facts.at("exports")[0].at("finished_at").is_null());
  EXPECT_TRUE(facts.at("exports")[0].at("audit_errors").is_null());
}

}  // namespace
}  // namespace vernier::report

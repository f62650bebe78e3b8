// The log of commands, phases and exports, and what is left according to it.
#include "run/run_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "run/sqlite.h"
#include "tests/support/temp_dir.h"

namespace vernier::run {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::vernier::testing::TempDir;

constexpr const char* kTime = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}Z";

class RunStatusTest : public ::testing::Test {
 protected:
  RunStatusTest() : store_(Store::Open(dir_.path())) {}

  const Database& database() const { return store_.database(); }
  RunStatus Status() const { return ReadRunStatus(store_); }
  std::vector<std::string> Left() const { return WorkLeft(Status()); }

  void CommitLayer(int layer) {
    store_.CommitLayer({.layer = layer,
                        .seconds = 2.5,
                        .statistics = AmaxRows({{"m" + std::to_string(layer), layer, 1, layer}}),
                        .activations = {.file_name = "hidden", .bytes = 1, .hash = "h"}});
  }

  TempDir dir_;
  Store store_;
};

TEST_F(RunStatusTest, NothingIsKnownOfANewStore) {
  const RunStatus status = Status();
  EXPECT_FALSE(status.command);
  EXPECT_TRUE(status.layers.empty());
  EXPECT_THAT(WorkLeft(status), IsEmpty());
  EXPECT_EQ(status.files.front().name, "vernier.sqlite");
}

TEST_F(RunStatusTest, CountsStatisticsOfTheCacheAmongTheOthers) {
  const std::string attention = "model.layers.0.self_attn.";
  store_.CommitLayer({.layer = 0,
                      .seconds = 1,
                      .statistics = AmaxRows({{attention + "k_cache", 0, 1, 1},
                                              {attention + "v_cache", 0, 1, 1},
                                              {"model.layers.0.self_attn2.kv_cache", 0, 1, 1},
                                              {attention + "k_proj", 0, 1, 1},
                                              {"a_cache", 0, 1, 1}}),
                      .activations = {.file_name = "hidden", .bytes = 1, .hash = "h"}});
  EXPECT_THAT(Status().statistics,
              ElementsAre(std::pair("cache_amax", 3), std::pair("input_amax", 2)));
}

TEST_F(RunStatusTest, CountsDownToTheEndOfTheCommand) {
  const int64_t id = BeginCommand(database(), "vernier run r", "calibrate export validate");
  EXPECT_THAT(Left(), ElementsAre("calibrate", "export", "validate"));
  store_.SetTotalLayers(3);
  CommitLayer(0);
  EXPECT_THAT(Left(), ElementsAre("layers 1 to 2", "export", "validate"));
  CommitLayer(1);
  EXPECT_THAT(Left(), ElementsAre("layer 2", "export", "validate"));
  CommitLayer(2);
  store_.FinishCalibration();
  BeginExport(database(), {.plan_hash = "p", .output = "/out", .shards = 2, .bytes = 3072});
  store_.CommitShard("p", {"a", 1024, "h"});
  EXPECT_THAT(Left(), ElementsAre("1 shard (2.00 KiB)", "validate"));
  store_.CommitShard("p", {"b", 2048, "h"});
  FinishExport(database(), "p");
  EXPECT_THAT(Left(), ElementsAre("validate"));
  RecordAudit(database(), "p", 0);
  EndCommand(database(), id, CommandOutcome::kFinished, "");
  EXPECT_THAT(Left(), IsEmpty());
  EXPECT_EQ(Status().command->outcome, "finished");
}

TEST_F(RunStatusTest, AnExportOfAnotherCommandDoesNotCount) {
  BeginExport(database(), {.plan_hash = "p", .output = "/out", .shards = 1, .bytes = 1});
  database().Execute("UPDATE export SET started_at = '2000-01-01T00:00:00.000Z'");
  FinishExport(database(), "p");
  BeginCommand(database(), "vernier export r", "export validate");
  EXPECT_THAT(Left(), ElementsAre("export", "validate"));
}

TEST_F(RunStatusTest, ARefusedCommandIsNotTheOneToContinue) {
  const int64_t first = BeginCommand(database(), "vernier run a", "export");
  EndCommand(database(), first, CommandOutcome::kInterrupted, "by hand");
  const int64_t second = BeginCommand(database(), "vernier run b", "export");
  EndCommand(database(), second, CommandOutcome::kRefused, "another seed");
  const CommandRecord command = Status().command.value();
  EXPECT_EQ(command.line, "vernier run a");
  EXPECT_EQ(command.outcome, "interrupted");
  EXPECT_EQ(command.message, "by hand");
  EXPECT_THAT(command.started_at, MatchesRegex(kTime));
  EXPECT_THAT(command.ended_at, MatchesRegex(kTime));
}

TEST_F(RunStatusTest, PhasesKeepTheirFirstStartAndAddUp) {
  BeginPhase(database(), "calibrate");
  const std::string start = Phases(database())[0].started_at;
  EXPECT_EQ(Phases(database())[0].ended_at, "");
  EndPhase(database(), "calibrate", 2);
  BeginPhase(database(), "export");
  database().Execute("UPDATE phase SET ended_at = '2000-01-01T00:00:00.000Z'");
  BeginPhase(database(), "calibrate");
  EndPhase(database(), "calibrate", 0.5);
  const std::vector<PhaseRecord> phases = Phases(database());
  ASSERT_EQ(phases.size(), 2u);
  EXPECT_EQ(phases[0].phase, "calibrate");
  EXPECT_EQ(phases[0].seconds, 2.5);
  EXPECT_EQ(phases[0].started_at, start);
  EXPECT_GT(phases[0].ended_at, start.substr(0, 19));
}

TEST_F(RunStatusTest, LayersAndShardsSayWhenTheyWereFinished) {
  CommitLayer(0);
  store_.CommitShard("p", {"a", 1024, "h"});
  const RunStatus status = Status();
  ASSERT_EQ(status.layers.size(), 1u);
  EXPECT_EQ(status.layers[0].seconds, 2.5);
  EXPECT_THAT(status.layers[0].finished_at, MatchesRegex(kTime));
  EXPECT_THAT(database().QueryText("SELECT finished_at FROM shard"), MatchesRegex(kTime));
  EXPECT_THAT(status.unseen, ElementsAre("m0"));
  EXPECT_EQ(CountOf(status.statistics), 1);
}

TEST_F(RunStatusTest, AnExportBegunAgainIsUnfinishedAgain) {
  const ExportRecord record = {.plan_hash = "p", .output = "/out", .shards = 1, .bytes = 1};
  BeginExport(database(), record);
  FinishExport(database(), "p");
  RecordAudit(database(), "p", 3);
  EXPECT_EQ(Exports(database())[0].audit_errors, 3);
  BeginExport(database(), record);
  ASSERT_EQ(Exports(database()).size(), 1u);
  EXPECT_EQ(Exports(database())[0].finished_at, "");
  EXPECT_EQ(Exports(database())[0].audited_at, "");
}

TEST_F(RunStatusTest, NamesTheFilesThatACopyNeeds) {
  CommitLayer(0);
  SavePartialLayer(store_,
                   {.layer = 1,
                    .stage = "experts",
                    .next = 3,
                    .seconds = 1,
                    .non_finites = {},
                    .parts = {{.part = "sum", .file_name = "sum.part", .hash = "h"}}},
                   {});
  std::ofstream(dir_.path() / "hidden") << "x";
  const RunStatus status = Status();
  std::vector<std::pair<std::string, bool>> files;
  for (const NeededFile& file : status.files) files.emplace_back(file.name, file.present);
  EXPECT_THAT(files,
              ElementsAre(std::pair("vernier.sqlite", true), std::pair("hidden", true),
                          std::pair("sum.part", false), std::pair("vernier.sqlite-wal", true)));
  EXPECT_EQ(status.partial->stage, "experts");
}

}  // namespace
}  // namespace vernier::run

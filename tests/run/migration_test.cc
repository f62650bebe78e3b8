// Stores that earlier schema versions left behind, made by the commands that wrote them
// (tests/data/stores).
#include "run/migration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "run/amax_file.h"
#include "run/clamped_element.h"
#include "run/fold_record.h"
#include "run/format_error_record.h"
#include "run/merge.h"
#include "run/module_record.h"
#include "run/non_finite_record.h"
#include "run/partial_layer.h"
#include "run/row_hash.h"
#include "run/run_status.h"
#include "run/solved_weight.h"
#include "run/sqlite.h"
#include "run/store_schema.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier::run {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::vernier::testing::TempDir;

const fs::path kStores = fs::path(VERNIER_TEST_DATA) / "stores/v2";

class MigrationTest : public ::testing::Test {
 protected:
  // A copy that may be changed.
  fs::path Copy(const std::string& name) const {
    fs::copy(kStores / name, dir_.path() / name);
    return dir_.path() / name;
  }

  static int64_t VersionOf(const fs::path& run_dir) {
    return Database(run_dir / kStoreFileName, DatabaseMode::kReadOnly)
        .QueryInteger("PRAGMA user_version");
  }

  // The tables and their definitions.
  static std::map<std::string, std::string> Tables(const Database& database) {
    std::map<std::string, std::string> tables;
    Statement rows = database.Prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'table'");
    while (rows.Step()) tables[rows.Text(0)] = rows.Text(1);
    return tables;
  }

  TempDir dir_;
};

TEST_F(MigrationTest, AMigratedStoreHasTheTablesOfANewOne) {
  const Store made = Store::Open(dir_.path() / "new");
  for (const std::string name : {"finished", "interrupted", "clamped"}) {
    const fs::path run_dir = Copy(name);
    EXPECT_EQ(Tables(Store::Open(run_dir).database()), Tables(made.database())) << name;
    EXPECT_EQ(VersionOf(run_dir), kSchemaVersion);
    EXPECT_EQ(Store::Open(run_dir).database().QueryInteger(
                  "SELECT count(*) FROM event WHERE kind = 'migrate'"),
              1)
        << "once, and its rows have their hashes: it opens again";
  }
}

TEST_F(MigrationTest, AFinishedCalibrationKeepsItsValues) {
  const Json before = ReadJsonFile(kStores / "finished_amax.json");
  const Store store = Store::Open(Copy("finished"));
  EXPECT_EQ(AmaxJson(store).dump(2), before.dump(2));
  EXPECT_THAT(CountStatistics(store.database()),
              ElementsAre(std::pair("cache_amax", 6), std::pair("input_amax", 21)));
}

TEST_F(MigrationTest, AnUnfinishedLayerKeepsWhatItSaw) {
  const fs::path run_dir = Copy("interrupted");
  std::vector<std::pair<double, int64_t>> before;
  {
    const Database old(run_dir / kStoreFileName, DatabaseMode::kReadOnly);
    Statement rows = old.Prepare("SELECT amax, tokens FROM partial_amax ORDER BY module");
    while (rows.Step()) before.emplace_back(rows.Real(0), rows.Integer(1));
  }
  ASSERT_THAT(before, SizeIs(6));
  const Store store = Store::Open(run_dir);
  const PartialLayer partial = LoadPartialLayer(store).value();
  EXPECT_EQ(partial.layer, 2);
  EXPECT_EQ(partial.stage, "experts");
  EXPECT_THAT(partial.parts, SizeIs(6));
  const std::vector<StatisticRow> rows = StatisticsOfUnit(store, 2);
  ASSERT_THAT(rows, SizeIs(before.size()));
  for (size_t i = 0; i < rows.size(); ++i) {
    const InputAmax input = AmaxOf(rows[i]).value();
    EXPECT_EQ(std::pair(double{input.amax}, input.tokens), before[i]) << input.module;
  }
  EXPECT_EQ(store.LastLayer(), 1);
  EXPECT_THAT(store.Inputs(), SizeIs(48));
}

TEST_F(MigrationTest, ClampedElementsGetATableOfTheirOwn) {
  const Store store = Store::Open(Copy("clamped"));
  EXPECT_THAT(LoadNonFinite(store.database()), IsEmpty());
  const std::vector<ClampedTensor> clamped = LoadClampedTensors(store.database());
  ASSERT_THAT(clamped, SizeIs(1));
  EXPECT_EQ(clamped[0].tensor, "model.layers.1.mlp.up_proj.weight");
  EXPECT_EQ(clamped[0].first, 0);
  EXPECT_EQ(clamped[0].value, "NaN");
  EXPECT_EQ(clamped[0].count, 2);
}

TEST_F(MigrationTest, VersionThreeLacksTablesOnly) {
  const fs::path run_dir = dir_.path() / "v3";
  fs::copy(fs::path(VERNIER_TEST_DATA) / "stores/v3/finished", run_dir);
  const std::string before = ReadWholeFile(kStores / "../v3/finished_amax.json");
  EXPECT_EQ(AmaxJson(Store::OpenForReading(run_dir)), ParseJson(before, "amax"));
  EXPECT_EQ(VersionOf(run_dir), 3);
  const Store store = Store::Open(run_dir);
  EXPECT_EQ(AmaxJson(store), ParseJson(before, "amax"));
  EXPECT_EQ(VersionOf(run_dir), kSchemaVersion);
  EXPECT_THAT(ListSolvedWeights(store.database()), IsEmpty());
  EXPECT_THAT(ListFolds(store.database()), IsEmpty());
  EXPECT_EQ(Tables(store.database()), Tables(Store::Open(dir_.path() / "new").database()));
}

TEST_F(MigrationTest, VersionFourLacksFoldsOnly) {
  const fs::path run_dir = dir_.path() / "v4";
  {
    const Store store = Store::Open(run_dir);
    store.database().Execute(
        "DROP TABLE fold; DROP TABLE format_error; DROP TABLE module; "
        "PRAGMA user_version = 4");
    StoreRowHashes(store.database());
  }
  EXPECT_THAT(ListFolds(Store::OpenForReading(run_dir).database()), IsEmpty());
  EXPECT_EQ(VersionOf(run_dir), 4);
  const Store store = Store::Open(run_dir);
  EXPECT_EQ(VersionOf(run_dir), kSchemaVersion);
  EXPECT_EQ(Tables(store.database()), Tables(Store::Open(dir_.path() / "new").database()));
}

TEST_F(MigrationTest, VersionFiveLacksErrorsOfFormatsOnly) {
  const fs::path run_dir = dir_.path() / "v5";
  {
    const Store store = Store::Open(run_dir);
    store.database().Execute(
        "DROP TABLE format_error; DROP TABLE module; "
        "PRAGMA user_version = 5");
    StoreRowHashes(store.database());
  }
  EXPECT_THAT(ListFormatErrors(Store::OpenForReading(run_dir).database()), IsEmpty());
  EXPECT_EQ(VersionOf(run_dir), 5);
  const Store store = Store::Open(run_dir);
  EXPECT_EQ(VersionOf(run_dir), kSchemaVersion);
  EXPECT_EQ(Tables(store.database()), Tables(Store::Open(dir_.path() / "new").database()));
}

TEST_F(MigrationTest, VersionSixLacksModulesWhichAreNamedWithoutRoles) {
  const fs::path run_dir = dir_.path() / "v6";
  const std::vector<InputAmax> inputs = {
      {.module = "layers.0.attn.wo_b", .amax = 1, .tokens = 2},
      {.module = "layers.0.ffn.experts.17.w2", .amax = 3, .tokens = 4}};
  {
    Store store = Store::Open(run_dir);
    store.CommitLayer({.layer = 0,
                       .statistics = AmaxRows(inputs),
                       .activations = {.file_name = "h", .bytes = 1, .hash = "h"}});
    store.database().Execute("DROP TABLE module; PRAGMA user_version = 6");
    StoreRowHashes(store.database());
  }
  const Store store = Store::Open(run_dir);
  EXPECT_EQ(VersionOf(run_dir), kSchemaVersion);
  EXPECT_THAT(ListModules(store.database()),
              ElementsAre(ModuleRecord{"layers.0.attn.wo_b", "", "wo_b", -1},
                          ModuleRecord{"layers.0.ffn.experts.17.w2", "", "w2", 17}));
  EXPECT_THAT(store.Inputs(), SizeIs(2));
  EXPECT_EQ(Tables(store.database()), Tables(Store::Open(dir_.path() / "new").database()));
}

TEST_F(MigrationTest, ReadingLeavesTheFileAsItIs) {
  for (const std::string name : {"finished", "interrupted"}) {
    const fs::path run_dir = Copy(name);
    const std::string before = ReadWholeFile(run_dir / kStoreFileName);
    {
      Store store = Store::OpenForReading(run_dir);
      EXPECT_FALSE(store.Inputs().empty());
      EXPECT_EQ(CountOf(ReadRunStatus(store).statistics), name == "finished" ? 27 : 48);
      EXPECT_VERNIER_ERROR(store.LogEvent("a", "b"), ErrorCode::kStoreCorrupt, "readonly");
    }
    EXPECT_EQ(ReadWholeFile(run_dir / kStoreFileName), before);
    EXPECT_EQ(VersionOf(run_dir), kOldestVersion);
    EXPECT_FALSE(fs::exists(run_dir / "vernier.sqlite-wal"));
  }
}

TEST_F(MigrationTest, ADamagedStoreIsNotMigrated) {
  const fs::path run_dir = Copy("finished");
  Database(run_dir / kStoreFileName).Execute("UPDATE input_amax SET amax = 1 WHERE layer = 0");
  EXPECT_VERNIER_ERROR(Store::Open(run_dir), ErrorCode::kStoreCorrupt, "rows of input_amax");
  EXPECT_VERNIER_ERROR(Store::OpenForReading(run_dir), ErrorCode::kStoreCorrupt,
                       "rows of input_amax");
  EXPECT_EQ(VersionOf(run_dir), kOldestVersion);
}

TEST_F(MigrationTest, OtherVersionsAreRefusedWithWhatToDo) {
  for (const int version : {1, kSchemaVersion + 1}) {
    const fs::path run_dir = dir_.path() / std::to_string(version);
    Store::Open(run_dir);
    Database(run_dir / kStoreFileName).Execute("PRAGMA user_version = " + std::to_string(version));
    for (const bool reading : {true, false}) {
      EXPECT_VERNIER_ERROR(reading ? Store::OpenForReading(run_dir) : Store::Open(run_dir),
                           ErrorCode::kStoreCorrupt, "Use the version of Vernier that made it");
    }
  }
}

TEST_F(MigrationTest, AMergeTakesThemAsTheyAre) {
  const fs::path old = Copy("finished"), now = dir_.path() / "now";
  RunIdentity identity = Store::OpenForReading(old).Identity();
  identity["calibration.seed"] = "another";
  {
    Store store = Store::Open(now);
    store.RequireIdentity(identity);
    store.CommitLayer({.layer = 0,
                       .seconds = 1,
                       .statistics = AmaxRows({{"model.layers.0.self_attn.k_cache", 0, 1000, 3}}),
                       .activations = {}});
    store.FinishCalibration();
  }
  const Store merged = MergeStores({old, now}, dir_.path() / "both");
  EXPECT_THAT(merged.Inputs(), SizeIs(27));
  for (const InputAmax& input : merged.Inputs()) {
    EXPECT_EQ(input.tokens, input.amax == 1000 ? 131 : 128) << input.module;
  }
  EXPECT_EQ(VersionOf(old), kOldestVersion);
}

}  // namespace
}  // namespace vernier::run

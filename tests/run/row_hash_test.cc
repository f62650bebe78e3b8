#include "run/row_hash.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/error.h"
#include "run/export_record.h"
#include "run/run_log.h"
#include "run/sqlite.h"
#include "run/store.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier::run {
namespace {

class RowHashTest : public ::testing::Test {
 protected:
  RowHashTest() {
    Store store = Store::Open(Run());
    store.RequireIdentity({{"seed", "1"}});
    LayerResult layer;
    layer.statistics = AmaxRows({{"a", 0, 0.5f, 7}, {"b", 0, 3.0f, 0}});
    store.CommitLayer(layer);
    store.CommitShard("plan", {"x.safetensors", 1, "h"});
  }

  std::filesystem::path Run() const { return dir_.path() / "run"; }

  // As another program would, behind the triggers' back.
  void Change(const std::string& sql) const { Database(Run() / "vernier.sqlite").Execute(sql); }

 private:
  testing::TempDir dir_;
};

TEST_F(RowHashTest, AStoreThatOnlyTheStoreChangedOpens) {
  for (int i = 0; i < 2; ++i) {
    Store store = Store::Open(Run());
    store.CommitShard("plan", {"x.safetensors", 2, "replaced"});  // INSERT OR REPLACE
    BeginPhase(store.database(), "export");                       // an upsert
    EndPhase(store.database(), "export", 0.1);
    EndPhase(store.database(), "export", 2);  // a whole number in a REAL
    EndCommand(store.database(), BeginCommand(store.database(), "c", "s"),
               CommandOutcome::kFinished, "");
    BeginExport(store.database(), {.plan_hash = "p", .output = "/o", .shards = 1, .bytes = 1});
    FinishExport(store.database(), "p");
    store.LogEvent("test", "");  // defaults, empty text
    store.database().Execute("DELETE FROM statistic WHERE module = 'a'");
    store.FinishCalibration();
  }
  EXPECT_EQ(Store::Open(Run()).Inputs().size(), 1u);
}

TEST_F(RowHashTest, AFailedTransactionLeavesTheSums) {
  {
    Store store = Store::Open(Run());
    LayerResult layer;
    layer.layer = 1;
    layer.statistics = AmaxRows({{"a", 1, 1, 1}, {"a", 1, 2, 2}});  // breaks the primary key
    EXPECT_THROW(store.CommitLayer(layer), Error);
  }
  EXPECT_EQ(Store::Open(Run()).LastLayer(), 0);
}

TEST_F(RowHashTest, AChangedNumberIsDamage) {
  Change("UPDATE statistic SET bytes = zeroblob(12) WHERE module = 'a'");
  EXPECT_VERNIER_ERROR(Store::Open(Run()), ErrorCode::kStoreCorrupt, "rows of statistic");
}

TEST_F(RowHashTest, ALostRowIsDamage) {
  Change("DELETE FROM shard");
  EXPECT_VERNIER_ERROR(Store::Open(Run()), ErrorCode::kStoreCorrupt, "rows of shard");
}

TEST_F(RowHashTest, AnAddedRowIsDamage) {
  Change("INSERT INTO identity VALUES ('source', 'x')");
  EXPECT_VERNIER_ERROR(Store::Open(Run()), ErrorCode::kStoreCorrupt, "rows of identity");
}

TEST_F(RowHashTest, AnotherDefinitionIsDamage) {
  Change("ALTER TABLE phase RENAME COLUMN seconds TO minutes");
  EXPECT_VERNIER_ERROR(Store::Open(Run()), ErrorCode::kStoreCorrupt, "rows of sqlite_schema");
}

TEST_F(RowHashTest, AnotherSumIsDamage) {
  Change("UPDATE row_hash SET sum = sum + 1 WHERE table_name = 'layer'");
  EXPECT_VERNIER_ERROR(Store::Open(Run()), ErrorCode::kStoreCorrupt, "rows of layer");
}

// 0.5 and "0.5", and a value that moves to the next column, are other rows.
TEST_F(RowHashTest, TypesAndPlacesCount) {
  const Database database(Run() / "vernier.sqlite");
  AddRowHashFunction(database);
  const auto sum = [&](const std::string& values) {
    return database.QueryInteger("SELECT row_sum(0, 1, " + values + ")");
  };
  EXPECT_NE(sum("0.5"), sum("'0.5'"));
  EXPECT_NE(sum("1"), sum("1.0"));
  EXPECT_NE(sum("NULL"), sum("''"));
  EXPECT_NE(sum("'ab', ''"), sum("'a', 'b'"));
  EXPECT_NE(sum("0.1"), sum("0.1 + 1e-17 + 1e-17"));
  EXPECT_EQ(sum("'a', 2"), sum("'a', 2"));
  EXPECT_EQ(database.QueryInteger("SELECT row_sum(row_sum(5, 1, 'a'), -1, 'a')"), 5);
}

}  // namespace
}  // namespace vernier::run

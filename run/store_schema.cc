#include "run/store_schema.h"

#include <fmt/format.h>

#include <array>

#include "base/error.h"
#include "run/clamped_element.h"
#include "run/export_record.h"
#include "run/fold_record.h"
#include "run/format_error_record.h"
#include "run/identity.h"
#include "run/layer_record.h"
#include "run/loop_sizes.h"
#include "run/migration.h"
#include "run/module_record.h"
#include "run/non_finite_record.h"
#include "run/partial_layer.h"
#include "run/row_hash.h"
#include "run/run_log.h"
#include "run/solved_weight.h"
#include "run/source_ledger.h"
#include "run/statistic_rows.h"

namespace vernier::run {
namespace {

// "Vrnr": tells a store from any other SQLite file.
constexpr int64_t kApplicationId = 0x56726E72;

// Tables are defined beside the code that reads and writes them.
constexpr std::array kTables = {
    kIdentityTable,  kLayerTables,      kStatisticTable,      kLoopSizesTable, kPartialLayerTables,
    kNonFiniteTable, kSourceTables,     kClampedElementTable, kExportTables,   kSolvedWeightTable,
    kFoldTable,      kFormatErrorTable, kModuleTable,         kLogTables,      kRowHashTable};

[[noreturn]] void Refuse(
    const std::filesystem::path& path, const std::string& problem,
    const char* remedy = "Choose another run directory, or delete this file to start over") {
  throw Error(ErrorCode::kStoreCorrupt, path.string(), problem, remedy);
}

bool IsEmpty(const Database& database) {
  return database.QueryInteger("SELECT count(*) FROM sqlite_schema") == 0;
}

void CreateTables(const Database& database) {
  Transaction transaction(database);
  for (const char* tables : kTables) database.Execute(tables);
  StoreRowHashes(database);
  database.Execute(fmt::format("PRAGMA application_id = {}", kApplicationId));
  database.Execute(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
  transaction.Commit();
}

int64_t VersionOf(const Database& database) { return database.QueryInteger("PRAGMA user_version"); }

void CheckKind(const Database& database, const std::filesystem::path& path) {
  if (database.QueryInteger("PRAGMA application_id") != kApplicationId) {
    Refuse(path, "the file is a database, but not a calibration store");
  }
  const int64_t version = VersionOf(database);
  if (version >= kOldestVersion && version <= kSchemaVersion) return;
  Refuse(path,
         fmt::format("the store has schema version {}; this program knows version {} and migrates "
                     "those from {} on",
                     version, kSchemaVersion, kOldestVersion),
         "Use the version of Vernier that made it, or choose another run directory");
}

// In one transaction: a store of an earlier version becomes one of this.
void Migrate(const Database& database) {
  Transaction transaction(database);
  MigrateTables(database, VersionOf(database));
  StoreRowHashes(database);
  database.Execute(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
  transaction.Commit();
}

void CheckIntegrity(const Database& database, const std::filesystem::path& path) {
  const std::string damage = database.QueryText("PRAGMA quick_check(1)");
  if (damage != "ok") Refuse(path, "the store is damaged: " + damage);
  const std::string table = FindChangedTable(database);
  if (!table.empty()) Refuse(path, "the store is damaged: rows of " + table + " have changed");
}

}  // namespace

void PrepareSchema(const Database& database, const std::filesystem::path& path) {
  // FULL: a commit is on the disk when it returns, also in WAL mode.
  database.Execute("PRAGMA synchronous = FULL");
  database.Execute("PRAGMA foreign_keys = ON");
  AddRowHashFunction(database);
  const bool empty = IsEmpty(database);
  if (!empty) {
    CheckKind(database, path);
    CheckIntegrity(database, path);
  }
  database.QueryText("PRAGMA journal_mode = WAL");
  if (empty) CreateTables(database);
  if (VersionOf(database) < kSchemaVersion) Migrate(database);
  KeepRowHashes(database);
}

Database OpenStoreForReading(const std::filesystem::path& path) {
  Database database(path, DatabaseMode::kReadOnly);
  if (IsEmpty(database)) {
    throw Error(ErrorCode::kNotCalibrated, path.string(), "the store is empty",
                "Start the run again, or name the run directory that it used");
  }
  CheckKind(database, path);
  AddRowHashFunction(database);
  CheckIntegrity(database, path);
  if (VersionOf(database) == kSchemaVersion) return database;
  Database copy = database.CopyInMemory();
  AddRowHashFunction(copy);
  Migrate(copy);
  copy.Execute("PRAGMA query_only = ON");
  return copy;
}

}  // namespace vernier::run

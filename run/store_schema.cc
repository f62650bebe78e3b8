#include "run/store_schema.h"

#include <fmt/format.h>

#include "base/error.h"
#include "run/row_hash.h"

namespace vernier::run {
namespace {

// "Vrnr": tells a store from any other SQLite file.
constexpr int64_t kApplicationId = 0x56726E72;

constexpr const char* kTables = R"sql(
CREATE TABLE identity (
  field TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE layer (
  layer            INTEGER PRIMARY KEY,
  seconds          REAL NOT NULL,
  finished_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  activation_file  TEXT NOT NULL,
  activation_bytes INTEGER NOT NULL,
  activation_hash  TEXT NOT NULL
);
CREATE TABLE input_amax (
  layer  INTEGER NOT NULL REFERENCES layer (layer),
  module TEXT NOT NULL,
  amax   REAL NOT NULL,
  tokens INTEGER NOT NULL,
  PRIMARY KEY (layer, module)
) WITHOUT ROWID;
CREATE TABLE loop_sizes (
  id          INTEGER PRIMARY KEY CHECK (id = 1),
  batch_size  INTEGER NOT NULL,
  query_chunk INTEGER NOT NULL
);
CREATE TABLE partial_layer (
  layer   INTEGER PRIMARY KEY,
  stage   TEXT NOT NULL,
  next    INTEGER NOT NULL,
  seconds REAL NOT NULL
);
CREATE TABLE partial_amax (
  module TEXT PRIMARY KEY,
  amax   REAL NOT NULL,
  tokens INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE partial_file (
  part      TEXT PRIMARY KEY,
  file_name TEXT NOT NULL,
  first     INTEGER NOT NULL,
  samples   INTEGER NOT NULL,
  hash      TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE non_finite (
  layer  INTEGER NOT NULL,
  module TEXT NOT NULL,
  sample INTEGER NOT NULL,
  value  TEXT NOT NULL,
  count  INTEGER NOT NULL,
  PRIMARY KEY (layer, module)
) WITHOUT ROWID;
CREATE TABLE source_file (
  name     TEXT PRIMARY KEY,
  bytes    INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE source_tensor (
  name TEXT PRIMARY KEY,
  hash TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE calibration (
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  finished INTEGER NOT NULL,
  layers   INTEGER
);
INSERT INTO calibration VALUES (1, 0, NULL);
CREATE TABLE export (
  plan_hash   TEXT PRIMARY KEY,
  output      TEXT NOT NULL,
  shards      INTEGER NOT NULL,
  bytes       INTEGER NOT NULL,
  started_at  TEXT NOT NULL,
  finished_at TEXT,
  audited_at  TEXT,
  errors      INTEGER
) WITHOUT ROWID;
CREATE TABLE shard (
  plan_hash        TEXT NOT NULL,
  file_name        TEXT NOT NULL,
  bytes            INTEGER NOT NULL,
  hash             TEXT NOT NULL,
  cast_blocks      INTEGER NOT NULL,
  cast_requantised INTEGER NOT NULL,
  cast_inexact     INTEGER NOT NULL,
  finished_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  PRIMARY KEY (plan_hash, file_name)
) WITHOUT ROWID;
CREATE TABLE phase (
  phase      TEXT PRIMARY KEY,
  seconds    REAL NOT NULL,
  started_at TEXT NOT NULL,
  ended_at   TEXT
);
CREATE TABLE command (
  id         INTEGER PRIMARY KEY,
  started_at TEXT NOT NULL,
  line       TEXT NOT NULL,
  steps      TEXT NOT NULL,
  ended_at   TEXT,
  outcome    TEXT,
  message    TEXT
);
CREATE TABLE row_hash (
  table_name TEXT PRIMARY KEY,
  sum        INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE event (
  id     INTEGER PRIMARY KEY,
  at     TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  kind   TEXT NOT NULL,
  detail TEXT NOT NULL
);
)sql";

[[noreturn]] void Refuse(const std::filesystem::path& path, const std::string& problem) {
  throw Error(ErrorCode::kStoreCorrupt, path.string(), problem,
              "Choose another run directory, or delete this file to start over");
}

bool IsEmpty(const Database& database) {
  return database.QueryInteger("SELECT count(*) FROM sqlite_schema") == 0;
}

void CreateTables(const Database& database) {
  Transaction transaction(database);
  database.Execute(kTables);
  StoreRowHashes(database);
  database.Execute(fmt::format("PRAGMA application_id = {}", kApplicationId));
  database.Execute(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
  transaction.Commit();
}

void CheckKind(const Database& database, const std::filesystem::path& path) {
  if (database.QueryInteger("PRAGMA application_id") != kApplicationId) {
    Refuse(path, "the file is a database, but not a calibration store");
  }
  const int64_t version = database.QueryInteger("PRAGMA user_version");
  if (version != kSchemaVersion) {
    Refuse(path, fmt::format("the store has schema version {}, and this program knows version {}",
                             version, kSchemaVersion));
  }
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
  KeepRowHashes(database);
}

void RequireSchema(const Database& database, const std::filesystem::path& path) {
  if (IsEmpty(database)) {
    throw Error(ErrorCode::kNotCalibrated, path.string(), "the store is empty",
                "Start the run again, or name the run directory that it used");
  }
  CheckKind(database, path);
  AddRowHashFunction(database);
  CheckIntegrity(database, path);
}

void ClearPartialLayer(const Database& database) {
  database.Execute("DELETE FROM partial_layer; DELETE FROM partial_amax; DELETE FROM partial_file");
}

}  // namespace vernier::run

#include "calib/store/store_schema.h"

#include <fmt/format.h>

#include "base/error.h"

namespace vernier::calib {
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
CREATE TABLE calibration (
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  finished INTEGER NOT NULL
);
INSERT INTO calibration VALUES (1, 0);
CREATE TABLE shard (
  output           TEXT NOT NULL,
  plan_hash        TEXT NOT NULL,
  file_name        TEXT NOT NULL,
  bytes            INTEGER NOT NULL,
  hash             TEXT NOT NULL,
  cast_blocks      INTEGER NOT NULL,
  cast_requantised INTEGER NOT NULL,
  cast_inexact     INTEGER NOT NULL,
  PRIMARY KEY (output, plan_hash, file_name)
) WITHOUT ROWID;
CREATE TABLE phase (
  phase   TEXT PRIMARY KEY,
  seconds REAL NOT NULL
);
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

}  // namespace

void PrepareSchema(const Database& database, const std::filesystem::path& path) {
  // FULL: a commit is on the disk when it returns, also in WAL mode.
  database.Execute("PRAGMA synchronous = FULL");
  database.Execute("PRAGMA foreign_keys = ON");
  const bool empty = IsEmpty(database);
  if (!empty) {
    CheckKind(database, path);
    const std::string damage = database.QueryText("PRAGMA quick_check(1)");
    if (damage != "ok") Refuse(path, "the store is damaged: " + damage);
  }
  database.QueryText("PRAGMA journal_mode = WAL");
  if (empty) CreateTables(database);
}

}  // namespace vernier::calib

#include "run/export_record.h"

#include <fmt/format.h>

#include "run/sqlite.h"
#include "run/store_schema.h"

namespace vernier::run {

const char kExportTables[] = R"sql(
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
)sql";

void BeginExport(const Database& database, const ExportRecord& record) {
  database
      .Prepare(
          fmt::format("INSERT OR REPLACE INTO export (plan_hash, output, shards, bytes, started_at)"
                      " VALUES (?1, ?2, ?3, ?4, {})",
                      kNowSql))
      .Bind(1, record.plan_hash)
      .Bind(2, record.output)
      .Bind(3, record.shards)
      .Bind(4, static_cast<int64_t>(record.bytes))
      .Run();
}

void FinishExport(const Database& database, std::string_view plan_hash) {
  database.Prepare(fmt::format("UPDATE export SET finished_at = {} WHERE plan_hash = ?1", kNowSql))
      .Bind(1, plan_hash)
      .Run();
}

void RecordAudit(const Database& database, std::string_view plan_hash, int64_t errors) {
  database
      .Prepare(fmt::format("UPDATE export SET audited_at = {}, errors = ?2 WHERE plan_hash = ?1",
                           kNowSql))
      .Bind(1, plan_hash)
      .Bind(2, errors)
      .Run();
}

std::vector<ExportRecord> Exports(const Database& database) {
  std::vector<ExportRecord> exports;
  Statement rows = database.Prepare(
      "SELECT plan_hash, output, shards, export.bytes, started_at, export.finished_at, audited_at,"
      " errors, count(shard.file_name), total(shard.bytes)"
      " FROM export LEFT JOIN shard USING (plan_hash) GROUP BY plan_hash"
      " ORDER BY started_at, plan_hash");
  while (rows.Step()) {
    exports.push_back({.plan_hash = rows.Text(0),
                       .output = rows.Text(1),
                       .shards = rows.Integer(2),
                       .bytes = static_cast<uint64_t>(rows.Integer(3)),
                       .started_at = rows.Text(4),
                       .finished_at = rows.Text(5),
                       .audited_at = rows.Text(6),
                       .audit_errors = rows.Integer(7),
                       .shards_done = rows.Integer(8),
                       .bytes_done = static_cast<uint64_t>(rows.Integer(9))});
  }
  return exports;
}

std::vector<ShardRecord> LoadShards(const Database& database, std::string_view plan_hash) {
  std::vector<ShardRecord> shards;
  Statement rows = database.Prepare(
      "SELECT file_name, bytes, hash, cast_blocks, cast_requantised, cast_inexact FROM shard"
      " WHERE plan_hash = ?1 ORDER BY file_name");
  rows.Bind(1, plan_hash);
  while (rows.Step()) {
    shards.push_back({.file_name = rows.Text(0),
                      .bytes = static_cast<uint64_t>(rows.Integer(1)),
                      .hash = rows.Text(2),
                      .cast_blocks = rows.Integer(3),
                      .cast_requantised = rows.Integer(4),
                      .cast_inexact = rows.Integer(5)});
  }
  return shards;
}

void SaveShard(const Database& database, std::string_view plan_hash, const ShardRecord& shard) {
  database
      .Prepare(
          "INSERT OR REPLACE INTO shard"
          " (plan_hash, file_name, bytes, hash, cast_blocks, cast_requantised, cast_inexact)"
          " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
      .Bind(1, plan_hash)
      .Bind(2, shard.file_name)
      .Bind(3, static_cast<int64_t>(shard.bytes))
      .Bind(4, shard.hash)
      .Bind(5, shard.cast_blocks)
      .Bind(6, shard.cast_requantised)
      .Bind(7, shard.cast_inexact)
      .Run();
}

}  // namespace vernier::run

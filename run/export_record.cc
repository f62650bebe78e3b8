#include "run/export_record.h"

#include <fmt/format.h>

#include "run/sqlite.h"
#include "run/store_schema.h"

namespace vernier::run {

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

}  // namespace vernier::run

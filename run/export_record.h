// The exports that were made from a store.
#ifndef VERNIER_RUN_EXPORT_RECORD_H_
#define VERNIER_RUN_EXPORT_RECORD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vernier::run {

class Database;

extern const char kExportTables[];

// One plan's newest export. Only told to people: finished shards count, not this.
struct ExportRecord {
  std::string plan_hash;
  std::string output;  // directory
  int64_t shards = 0;
  uint64_t bytes = 0;            // of all shards
  std::string started_at = {};   // UTC, as the store writes it
  std::string finished_at = {};  // empty: not yet
  std::string audited_at = {};   // empty: not yet
  int64_t audit_errors = 0;      // found by that audit
  int64_t shards_done = 0;       // of `shards`; filled in by Exports
  uint64_t bytes_done = 0;
};

// An output shard that was finished.
struct ShardRecord {
  std::string file_name;
  uint64_t bytes = 0;
  std::string hash;  // XXH3-128 of the file
  // MXFP4 blocks that were cast, those re-encoded, and those whose values changed: kept here,
  // because a resumed export does not see the blocks of a finished shard again.
  int64_t cast_blocks = 0;
  int64_t cast_requantised = 0;
  int64_t cast_inexact = 0;
};

// Replaces the plan's record by an unfinished one. Of `record`, the first four fields are used.
void BeginExport(const Database& database, const ExportRecord& record);
void FinishExport(const Database& database, std::string_view plan_hash);
void RecordAudit(const Database& database, std::string_view plan_hash, int64_t errors);
std::vector<ExportRecord> Exports(const Database& database);  // in order of their start

// A plan's finished shards by name; one that is saved again replaces its record.
std::vector<ShardRecord> LoadShards(const Database& database, std::string_view plan_hash);
void SaveShard(const Database& database, std::string_view plan_hash, const ShardRecord& shard);

}  // namespace vernier::run

#endif  // VERNIER_RUN_EXPORT_RECORD_H_

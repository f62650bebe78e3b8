// The store's tables, and what makes a file a store. docs/store.md explains every column.
#ifndef VERNIER_RUN_STORE_SCHEMA_H_
#define VERNIER_RUN_STORE_SCHEMA_H_

#include <filesystem>

#include "run/sqlite.h"

namespace vernier::run {

// PRAGMA user_version of the tables that this version reads and writes.
inline constexpr int kSchemaVersion = 7;

// The time now as the store's tables hold it: UTC, "2026-01-31T12:00:00.000Z".
inline constexpr const char* kNowSql = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

// Makes the connection durable (WAL, synchronous=FULL), creates the tables in an empty database and
// checks any other: a damaged file, one that is no store, or one of an unknown version is
// kStoreCorrupt naming `path`. A store of an earlier version is migrated.
void PrepareSchema(const Database& database, const std::filesystem::path& path);

// Opens a store that is only read, with the same checks; an empty one is kNotCalibrated. Of one of
// an earlier version it returns a migrated copy in memory, so that the file stays as it is.
Database OpenStoreForReading(const std::filesystem::path& path);

}  // namespace vernier::run

#endif  // VERNIER_RUN_STORE_SCHEMA_H_

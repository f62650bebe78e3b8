// The store's tables, and what makes a file a store. docs/store.md explains every column.
#ifndef VERNIER_RUN_STORE_SCHEMA_H_
#define VERNIER_RUN_STORE_SCHEMA_H_

#include <filesystem>

#include "run/sqlite.h"

namespace vernier::run {

// PRAGMA user_version of the tables that this version reads and writes.
inline constexpr int kSchemaVersion = 2;

// The time now as the store's tables hold it: UTC, "2026-01-31T12:00:00.000Z".
inline constexpr const char* kNowSql = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

// Makes the connection durable (WAL, synchronous=FULL), creates the tables in an empty database and
// checks any other: a damaged file, one that is no store, or one of another version is
// kStoreCorrupt naming `path`.
void PrepareSchema(const Database& database, const std::filesystem::path& path);

// The same checks for a database that is only read; an empty one is kNotCalibrated.
void RequireSchema(const Database& database, const std::filesystem::path& path);

// Empties the tables of an unfinished layer, within the caller's transaction.
void ClearPartialLayer(const Database& database);

}  // namespace vernier::run

#endif  // VERNIER_RUN_STORE_SCHEMA_H_

#include "run/statistic_rows.h"

#include <fmt/format.h>

#include <cassert>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "run/layer_record.h"
#include "run/store.h"

namespace vernier::run {

const char kStatisticTable[] = R"sql(
CREATE TABLE statistic (
  unit    INTEGER NOT NULL,
  module  TEXT NOT NULL,
  name    TEXT NOT NULL,
  version INTEGER NOT NULL,
  bytes   BLOB,
  file    TEXT,
  offset  INTEGER,
  length  INTEGER,
  hash    TEXT,
  PRIMARY KEY (unit, module, name)
) WITHOUT ROWID;
)sql";

namespace {

constexpr const char* kInsert =
    "INSERT INTO statistic (unit, module, name, version, bytes, file, offset, length, hash)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

// What KeyOf and BytesOf take, in this order.
constexpr const char* kColumns =
    "unit, module, name, version, coalesce(length, length(bytes)), coalesce(file, ''),"
    " coalesce(offset, 0), coalesce(hash, '')";
constexpr int kBytesColumn = 8;

std::string Select(std::string_view more_columns, std::string_view condition) {
  return fmt::format("SELECT {}{} FROM statistic WHERE {} ORDER BY unit, module, name", kColumns,
                     more_columns, condition);
}

StatisticKey KeyOf(const Statement& row) {
  return {.unit = static_cast<int>(row.Integer(0)),
          .module = row.Text(1),
          .name = row.Text(2),
          .version = static_cast<int>(row.Integer(3)),
          .length = static_cast<uint64_t>(row.Integer(4)),
          .file = row.Text(5),
          .offset = static_cast<uint64_t>(row.Integer(6)),
          .hash = row.Text(7)};
}

statistics::Bytes ReadFromFile(const Store& store, const StatisticKey& key) {
  return ReadValueFile(store.run_dir(), {key.file, key.offset, key.length, key.hash},
                       fmt::format("the {} of {}", key.name, key.module));
}

StatisticRow RowOf(const Store& store, const Statement& row) {
  StatisticKey key = KeyOf(row);
  statistics::Bytes bytes = key.file.empty() ? row.Blob(kBytesColumn) : ReadFromFile(store, key);
  return {key.unit, std::move(key.module), std::move(key.name), key.version, std::move(bytes)};
}

void BindKey(Statement& insert, int unit, const StatisticRow& row) {
  insert.Bind(1, int64_t{unit}).Bind(2, row.module).Bind(3, row.name).Bind(4, int64_t{row.version});
}

void BindInline(Statement& insert, std::span<const std::byte> bytes) {
  insert.Bind(5, bytes);
  for (int column = 6; column <= 9; ++column) insert.BindNull(column);
}

}  // namespace

std::vector<StatisticKey> ListStatistics(const Database& database) {
  Statement rows = database.Prepare(Select("", "unit <= ?1"));
  rows.Bind(1, int64_t{LastLayer(database).value_or(-1)});
  std::vector<StatisticKey> keys;
  while (rows.Step()) keys.push_back(KeyOf(rows));
  return keys;
}

statistics::Bytes ReadStatistic(const Store& store, const StatisticKey& key) {
  if (!key.file.empty()) return ReadFromFile(store, key);
  Statement row = store.database().Prepare(
      "SELECT bytes FROM statistic WHERE unit = ?1 AND module = ?2 AND name = ?3");
  row.Bind(1, int64_t{key.unit}).Bind(2, key.module).Bind(3, key.name);
  return row.Step() ? row.Blob(0) : statistics::Bytes();
}

StatisticValue ReadValue(const Store& store, const StatisticKey& key,
                         statistics::Registry registry) {
  const std::string origin = store.run_dir().string();
  const statistics::Statistic& statistic =
      statistics::RequireStatistic(registry, key.name, key.version, origin);
  return {statistic, statistics::Parse(statistic, ReadStatistic(store, key), origin)};
}

std::vector<StatisticRow> StatisticsOfUnit(const Store& store, int unit) {
  Statement rows = store.database().Prepare(Select(", bytes", "unit = ?1"));
  rows.Bind(1, int64_t{unit});
  std::vector<StatisticRow> all;
  while (rows.Step()) all.push_back(RowOf(store, rows));
  return all;
}

std::vector<StatisticRow> StatisticsNamed(const Store& store, std::string_view name) {
  Statement rows = store.database().Prepare(Select(", bytes", "unit <= ?1 AND name = ?2"));
  rows.Bind(1, int64_t{LastLayer(store.database()).value_or(-1)}).Bind(2, name);
  std::vector<StatisticRow> all;
  while (rows.Step()) all.push_back(RowOf(store, rows));
  return all;
}

std::map<std::string, int64_t> CountStatistics(const Database& database) {
  Statement rows =
      database.Prepare("SELECT name, count(*) FROM statistic WHERE unit <= ?1 GROUP BY name");
  rows.Bind(1, int64_t{LastLayer(database).value_or(-1)});
  std::map<std::string, int64_t> counts;
  while (rows.Step()) counts[rows.Text(0)] = rows.Integer(1);
  return counts;
}

int64_t CountOf(const std::map<std::string, int64_t>& counts) {
  int64_t count = 0;
  for (const auto& [name, rows] : counts) count += rows;
  return count;
}

std::vector<std::string> ModulesWithoutTokens(const Database& database) {
  // A value over no tokens has a small payload, if any: it is in its row.
  Statement rows = database.Prepare(
      fmt::format("SELECT module FROM statistic WHERE unit <= ?1 AND substr(bytes, 1, {0}) ="
                  " zeroblob({0}) GROUP BY unit, module ORDER BY unit, module",
                  statistics::kTokenBytes));
  rows.Bind(1, int64_t{LastLayer(database).value_or(-1)});
  std::vector<std::string> modules;
  while (rows.Step()) modules.push_back(rows.Text(0));
  return modules;
}

std::set<std::string> StatisticFiles(const Database& database) {
  Statement rows = database.Prepare("SELECT DISTINCT file FROM statistic WHERE file IS NOT NULL");
  std::set<std::string> files;
  while (rows.Step()) files.insert(rows.Text(0));
  return files;
}

void DeleteUnfinishedStatistics(const Database& database) {
  database.Prepare("DELETE FROM statistic WHERE unit > ?1")
      .Bind(1, int64_t{LastLayer(database).value_or(-1)})
      .Run();
}

StatisticWriter::StatisticWriter(const Store& store, int unit)
    : insert_(store.database().Prepare(kInsert)),
      large_(store.run_dir(), "statistics", unit),
      unit_(unit) {}

void StatisticWriter::Add(const StatisticRow& row) {
  BindKey(insert_, unit_, row);
  if (row.bytes.size() > kLargestInlineValue) {
    BindFile(row.bytes);
  } else {
    BindInline(insert_, row.bytes);
  }
  insert_.Run();
}

void StatisticWriter::BindFile(std::span<const std::byte> bytes) {
  const ValuePlace place = large_.Append(bytes);
  insert_.BindNull(5)
      .Bind(6, place.file)
      .Bind(7, static_cast<int64_t>(place.offset))
      .Bind(8, static_cast<int64_t>(place.length))
      .Bind(9, place.hash);
}

void StatisticWriter::Finish() { large_.Finish(); }

void AddStatistics(const Store& store, int unit, std::span<const StatisticRow> rows) {
  StatisticWriter writer(store, unit);
  for (const StatisticRow& row : rows) writer.Add(row);
  writer.Finish();
}

void InsertSmallStatistic(const Database& database, const StatisticRow& row) {
  assert(row.bytes.size() <= kLargestInlineValue);
  Statement insert = database.Prepare(kInsert);
  BindKey(insert, row.unit, row);
  BindInline(insert, row.bytes);
  insert.Run();
}

}  // namespace vernier::run

#include "run/row_hash.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/text.h"

namespace vernier::run {
const char kRowHashTable[] = R"sql(
CREATE TABLE row_hash (
  table_name TEXT PRIMARY KEY,
  sum        INTEGER NOT NULL
) WITHOUT ROWID;
)sql";

namespace {

constexpr const char* kFunction = "row_sum";
// Without the page numbers, which VACUUM changes.
constexpr std::string_view kDefinitions = "sqlite_schema";
constexpr std::string_view kDefinitionColumns = "type, name, tbl_name, sql";

// Type and length go in too, so that different rows are different strings.
void Append(sqlite3_value* value, std::string* row) {
  // A blob of a number would be its text: reals would lose digits.
  const int type = sqlite3_value_type(value);
  const double real = sqlite3_value_double(value);
  const void* bytes = type == SQLITE_FLOAT ? &real : sqlite3_value_blob(value);
  const size_t size =
      type == SQLITE_FLOAT ? sizeof real : static_cast<size_t>(sqlite3_value_bytes(value));
  *row += fmt::format("{}:{}:", type, size);
  if (size > 0) row->append(static_cast<const char*>(bytes), size);
}

void RowSum(sqlite3_context* context, int count, sqlite3_value** values) {
  std::string row;
  for (int i = 2; i < count; ++i) Append(values[i], &row);
  const auto sum = static_cast<uint64_t>(sqlite3_value_int64(values[0]));
  const auto sign = static_cast<uint64_t>(sqlite3_value_int64(values[1]));
  sqlite3_result_int64(context, static_cast<int64_t>(sum + sign * Hash64(row)));
}

std::vector<std::string> Texts(const Database& database, const std::string& sql) {
  std::vector<std::string> texts;
  Statement rows = database.Prepare(sql);
  while (rows.Step()) texts.push_back(rows.Text(0));
  return texts;
}

std::vector<std::string> Tables(const Database& database) {
  return Texts(database,
               "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'row_hash'"
               " ORDER BY name");
}

std::vector<std::string> Columns(const Database& database, const std::string& table) {
  return Texts(database, fmt::format("SELECT name FROM pragma_table_info('{}')", table));
}

// "OLD.layer, OLD.module"
std::string Prefixed(std::string_view prefix, std::vector<std::string> columns) {
  for (std::string& column : columns) column.insert(0, prefix);
  return JoinNames(columns, ", ");
}

int64_t SumRows(const Database& database, std::string_view table, std::string_view columns) {
  uint64_t sum = 0;
  Statement rows =
      database.Prepare(fmt::format("SELECT {}(0, 1, {}) FROM {}", kFunction, columns, table));
  while (rows.Step()) sum += static_cast<uint64_t>(rows.Integer(0));
  return static_cast<int64_t>(sum);
}

int64_t SumTable(const Database& database, const std::string& table) {
  return SumRows(database, table, Prefixed("", Columns(database, table)));
}

int64_t SumDefinitions(const Database& database) {
  return SumRows(database, kDefinitions, kDefinitionColumns);
}

bool HasSum(const Database& database, std::string_view table, int64_t sum) {
  Statement row = database.Prepare("SELECT sum FROM row_hash WHERE table_name = ?1");
  row.Bind(1, table);
  return row.Step() && row.Integer(0) == sum;
}

std::string FindChanged(const Database& database) {
  for (const std::string& table : Tables(database)) {
    if (!HasSum(database, table, SumTable(database, table))) return table;
  }
  return HasSum(database, kDefinitions, SumDefinitions(database)) ? "" : std::string(kDefinitions);
}

void AddTrigger(const Database& database, const std::string& table, std::string_view event,
                std::string_view sum) {
  database.Execute(
      fmt::format("CREATE TEMP TRIGGER {0}_{1} AFTER {1} ON main.{0} BEGIN"
                  " UPDATE row_hash SET sum = {2} WHERE table_name = '{0}'; END",
                  table, event, sum));
}

}  // namespace

void AddRowHashFunction(const Database& database) {
  const int result = sqlite3_create_function(database.handle(), kFunction, /*nArg=*/-1,
                                             SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS,
                                             nullptr, RowSum, nullptr, nullptr);
  if (result != SQLITE_OK) database.Fail(result);
}

void StoreRowHashes(const Database& database) {
  database.Execute("DELETE FROM row_hash");
  Statement insert = database.Prepare("INSERT INTO row_hash VALUES (?1, ?2)");
  for (const std::string& table : Tables(database)) {
    insert.Bind(1, table).Bind(2, SumTable(database, table)).Run();
  }
  insert.Bind(1, kDefinitions).Bind(2, SumDefinitions(database)).Run();
}

void KeepRowHashes(const Database& database) {
  // Otherwise rows that INSERT OR REPLACE replaces vanish without a trigger.
  database.Execute("PRAGMA recursive_triggers = ON");
  for (const std::string& table : Tables(database)) {
    const std::vector<std::string> columns = Columns(database, table);
    const std::string minus = fmt::format("{}(sum, -1, {})", kFunction, Prefixed("OLD.", columns));
    const std::string added = Prefixed("NEW.", columns);
    AddTrigger(database, table, "INSERT", fmt::format("{}(sum, 1, {})", kFunction, added));
    AddTrigger(database, table, "DELETE", minus);
    AddTrigger(database, table, "UPDATE", fmt::format("{}({}, 1, {})", kFunction, minus, added));
  }
}

std::string FindChangedTable(const Database& database) {
  database.Execute("BEGIN");  // one state for all tables, whoever writes meanwhile
  std::string changed = FindChanged(database);
  database.Execute("COMMIT");
  return changed;
}

}  // namespace vernier::run

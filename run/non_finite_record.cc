#include "run/non_finite_record.h"

#include "run/sqlite.h"

namespace vernier::run {

const char kNonFiniteTable[] = R"sql(
CREATE TABLE non_finite (
  layer  INTEGER NOT NULL,
  module TEXT NOT NULL,
  sample INTEGER NOT NULL,
  value  TEXT NOT NULL,
  count  INTEGER NOT NULL,
  PRIMARY KEY (layer, module)
) WITHOUT ROWID;
)sql";

std::vector<NonFiniteRecord> LoadNonFinite(const Database& database, std::optional<int> layer) {
  std::vector<NonFiniteRecord> records;
  Statement rows = database.Prepare(
      "SELECT layer, module, sample, value, count FROM non_finite"
      " WHERE ?1 IS NULL OR layer = ?1 ORDER BY layer, module");
  if (layer) rows.Bind(1, int64_t{*layer});
  while (rows.Step()) {
    records.push_back({.layer = static_cast<int>(rows.Integer(0)),
                       .module = rows.Text(1),
                       .sample = rows.Integer(2),
                       .value = rows.Text(3),
                       .count = rows.Integer(4)});
  }
  return records;
}

void ReplaceNonFinite(const Database& database, int layer,
                      std::span<const NonFiniteRecord> records) {
  database.Prepare("DELETE FROM non_finite WHERE layer = ?1").Bind(1, int64_t{layer}).Run();
  std::vector<NonFiniteRecord> of_layer(records.begin(), records.end());
  for (NonFiniteRecord& record : of_layer) record.layer = layer;
  AddNonFinite(database, of_layer);
}

void AddNonFinite(const Database& database, std::span<const NonFiniteRecord> records) {
  Statement insert = database.Prepare(
      "INSERT INTO non_finite (layer, module, sample, value, count) VALUES (?1, ?2, ?3, ?4, ?5)"
      " ON CONFLICT DO UPDATE SET count = count + excluded.count");
  for (const NonFiniteRecord& record : records) {
    insert.Bind(1, int64_t{record.layer})
        .Bind(2, record.module)
        .Bind(3, record.sample)
        .Bind(4, record.value)
        .Bind(5, record.count)
        .Run();
  }
}

}  // namespace vernier::run

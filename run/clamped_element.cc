#include "run/clamped_element.h"

#include "run/sqlite.h"

namespace vernier::run {

const char kClampedElementTable[] = R"sql(
CREATE TABLE clamped_element (
  tensor TEXT PRIMARY KEY,
  first  INTEGER NOT NULL,
  value  TEXT NOT NULL,
  count  INTEGER NOT NULL
) WITHOUT ROWID;
)sql";

std::vector<ClampedTensor> LoadClampedTensors(const Database& database) {
  std::vector<ClampedTensor> all;
  Statement rows =
      database.Prepare("SELECT tensor, first, value, count FROM clamped_element ORDER BY tensor");
  while (rows.Step()) {
    all.push_back({.tensor = rows.Text(0),
                   .first = rows.Integer(1),
                   .value = rows.Text(2),
                   .count = rows.Integer(3)});
  }
  return all;
}

void SaveClampedTensor(const Database& database, const ClampedTensor& clamped) {
  database
      .Prepare(
          "INSERT INTO clamped_element (tensor, first, value, count) VALUES (?1, ?2, ?3, ?4)"
          " ON CONFLICT (tensor) DO UPDATE SET first = excluded.first, value = excluded.value,"
          " count = excluded.count WHERE excluded.count > count")
      .Bind(1, clamped.tensor)
      .Bind(2, clamped.first)
      .Bind(3, clamped.value)
      .Bind(4, clamped.count)
      .Run();
}

}  // namespace vernier::run

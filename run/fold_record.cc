#include "run/fold_record.h"

#include <fmt/format.h>

#include <cstring>

#include "run/layer_record.h"

namespace vernier::run {
const char kFoldTable[] = R"sql(
CREATE TABLE fold (
  unit        INTEGER NOT NULL,
  name        TEXT NOT NULL,
  exponent    REAL NOT NULL,
  tokens      INTEGER NOT NULL,
  error       REAL NOT NULL,
  other_error REAL NOT NULL,
  scales      BLOB,
  PRIMARY KEY (unit, name)
) WITHOUT ROWID;
)sql";

namespace {

constexpr int kScalesColumn = 5;

std::vector<FoldRecord> List(const Database& database, const char* condition, int unit) {
  Statement rows = database.Prepare(
      fmt::format("SELECT name, exponent, tokens, error, other_error, scales FROM fold"
                  " WHERE {} ORDER BY unit, name",
                  condition));
  rows.Bind(1, int64_t{unit});
  std::vector<FoldRecord> folds;
  while (rows.Step()) {
    folds.push_back({.name = rows.Text(0),
                     .exponent = rows.Real(1),
                     .tokens = rows.Integer(2),
                     .error = rows.Real(3),
                     .other_error = rows.Real(4),
                     .scales = {}});
    const std::vector<std::byte> bytes = rows.Blob(kScalesColumn);
    std::vector<float>& scales = folds.back().scales;
    scales.resize(bytes.size() / sizeof(float));
    if (!scales.empty()) std::memcpy(scales.data(), bytes.data(), scales.size() * sizeof(float));
  }
  return folds;
}

}  // namespace

std::vector<FoldRecord> ListFolds(const Database& database) {
  return List(database, "unit <= ?1", LastLayer(database).value_or(-1));
}

std::vector<FoldRecord> FoldsOfUnit(const Database& database, int unit) {
  return List(database, "unit = ?1", unit);
}

void AddFolds(const Database& database, int unit, std::span<const FoldRecord> folds) {
  Statement insert = database.Prepare("INSERT INTO fold VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
  for (const FoldRecord& fold : folds) {
    insert.Bind(1, int64_t{unit})
        .Bind(2, fold.name)
        .Bind(3, fold.exponent)
        .Bind(4, fold.tokens)
        .Bind(5, fold.error)
        .Bind(6, fold.other_error);
    if (fold.scales.empty()) {
      insert.BindNull(7);
    } else {
      insert.Bind(7, std::as_bytes(std::span(fold.scales)));
    }
    insert.Run();
  }
}

void DeleteUnfinishedFolds(const Database& database) {
  database.Prepare("DELETE FROM fold WHERE unit > ?1")
      .Bind(1, int64_t{LastLayer(database).value_or(-1)})
      .Run();
}

}  // namespace vernier::run

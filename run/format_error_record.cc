#include "run/format_error_record.h"

#include <fmt/format.h>

#include <optional>

#include "base/error.h"
#include "recipes/recipe_values.h"
#include "recipes/target_format.h"
#include "run/layer_record.h"

namespace vernier::run {
const char kFormatErrorTable[] = R"sql(
CREATE TABLE format_error (
  unit   INTEGER NOT NULL,
  module TEXT NOT NULL,
  format TEXT NOT NULL,
  tokens INTEGER NOT NULL,
  energy REAL NOT NULL,
  error  REAL NOT NULL,
  PRIMARY KEY (unit, module, format)
) WITHOUT ROWID;
)sql";

namespace {

using recipes::FormatError;

std::vector<FormatError> ErrorsWhere(const Database& database, const char* condition, int unit) {
  Statement rows =
      database.Prepare(fmt::format("SELECT module, format, tokens, energy, error FROM format_error"
                                   " WHERE {} ORDER BY unit, module, format",
                                   condition));
  rows.Bind(1, int64_t{unit});
  std::vector<FormatError> errors;
  while (rows.Step()) {
    errors.push_back({.module = rows.Text(0),
                      .format = recipes::ValueOf(recipes::FormatNames(), rows.Text(1)),
                      .tokens = rows.Integer(2),
                      .energy = rows.Real(3),
                      .error = rows.Real(4)});
  }
  return errors;
}

}  // namespace

std::vector<FormatError> ListFormatErrors(const Database& database) {
  return ErrorsWhere(database, "unit <= ?1", LastLayer(database).value_or(-1));
}

std::vector<FormatError> FormatErrorsOfUnit(const Database& database, int unit) {
  return ErrorsWhere(database, "unit = ?1", unit);
}

void AddFormatErrors(const Database& database, int unit, std::span<const FormatError> errors) {
  Statement insert = database.Prepare("INSERT INTO format_error VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
  for (const FormatError& error : errors) {
    insert.Bind(1, int64_t{unit})
        .Bind(2, error.module)
        .Bind(3, recipes::TargetFormatName(error.format))
        .Bind(4, error.tokens)
        .Bind(5, error.energy)
        .Bind(6, error.error)
        .Run();
  }
}

void DeleteUnfinishedFormatErrors(const Database& database) {
  database.Prepare("DELETE FROM format_error WHERE unit > ?1")
      .Bind(1, int64_t{LastLayer(database).value_or(-1)})
      .Run();
}

}  // namespace vernier::run

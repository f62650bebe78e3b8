#include "run/solved_weight.h"

#include <fmt/format.h>

#include <algorithm>

#include "run/layer_record.h"
#include "run/store.h"

namespace vernier::run {
const char kSolvedWeightTable[] = R"sql(
CREATE TABLE solved_weight (
  unit         INTEGER NOT NULL,
  module       TEXT NOT NULL,
  method       TEXT NOT NULL,
  global_scale REAL NOT NULL,
  tokens       INTEGER NOT NULL,
  error        REAL NOT NULL,
  other_error  REAL NOT NULL,
  file         TEXT,
  offset       INTEGER,
  length       INTEGER,
  hash         TEXT,
  PRIMARY KEY (unit, module)
) WITHOUT ROWID;
)sql";

namespace {

std::vector<SolvedWeight> List(const Database& database, const char* condition, int unit) {
  Statement rows = database.Prepare(fmt::format(
      "SELECT module, method, global_scale, tokens, error, other_error,"
      " coalesce(file, ''), coalesce(offset, 0), coalesce(length, 0), coalesce(hash, '')"
      " FROM solved_weight WHERE {} ORDER BY unit, module",
      condition));
  rows.Bind(1, int64_t{unit});
  std::vector<SolvedWeight> weights;
  while (rows.Step()) {
    weights.push_back({.module = rows.Text(0),
                       .method = rows.Text(1),
                       .global_scale = static_cast<float>(rows.Real(2)),
                       .tokens = rows.Integer(3),
                       .error = rows.Real(4),
                       .other_error = rows.Real(5),
                       .bytes = {},
                       .place = {.file = rows.Text(6),
                                 .offset = static_cast<uint64_t>(rows.Integer(7)),
                                 .length = static_cast<uint64_t>(rows.Integer(8)),
                                 .hash = rows.Text(9)}});
  }
  return weights;
}

std::string NameOf(const SolvedWeight& weight) {
  return fmt::format("the weight {} that was solved", weight.module);
}

ValueFileWriter WriterOf(const std::filesystem::path& run_dir, int unit) {
  return {run_dir, "solved", unit};
}

void BindPlace(Statement& insert, const ValuePlace& place) {
  insert.Bind(8, place.file)
      .Bind(9, static_cast<int64_t>(place.offset))
      .Bind(10, static_cast<int64_t>(place.length))
      .Bind(11, place.hash);
}

}  // namespace

std::vector<SolvedWeight> ListSolvedWeights(const Database& database) {
  return List(database, "unit <= ?1", LastLayer(database).value_or(-1));
}

std::vector<SolvedWeight> SolvedWeightsOfUnit(const Database& database, int unit) {
  return List(database, "unit = ?1", unit);
}

int64_t CountSolvedWeights(const Database& database) {
  return std::ranges::count(ListSolvedWeights(database), kGptqMethod, &SolvedWeight::method);
}

std::vector<std::byte> ReadSolvedWeight(const std::filesystem::path& run_dir,
                                        const SolvedWeight& weight) {
  if (weight.place.length == 0) return weight.bytes;
  return ReadValueFile(run_dir, weight.place, NameOf(weight));
}

void CheckSolvedWeight(const std::filesystem::path& run_dir, const SolvedWeight& weight) {
  if (weight.place.length > 0) CheckValueFile(run_dir, weight.place, NameOf(weight));
}

void WriteSolvedWeights(const std::filesystem::path& run_dir, int unit,
                        std::span<SolvedWeight> weights) {
  ValueFileWriter writer = WriterOf(run_dir, unit);
  for (SolvedWeight& weight : weights) {
    if (weight.bytes.empty()) continue;
    weight.place = writer.Append(weight.bytes);
    weight.bytes = {};
  }
  writer.Finish();
}

void AddSolvedWeights(const Store& store, int unit, std::span<const SolvedWeight> weights) {
  Statement insert = store.database().Prepare(
      "INSERT INTO solved_weight VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)");
  ValueFileWriter writer = WriterOf(store.run_dir(), unit);
  for (const SolvedWeight& weight : weights) {
    insert.Bind(1, int64_t{unit})
        .Bind(2, weight.module)
        .Bind(3, weight.method)
        .Bind(4, double{weight.global_scale})
        .Bind(5, weight.tokens)
        .Bind(6, weight.error)
        .Bind(7, weight.other_error);
    if (!weight.bytes.empty()) {
      BindPlace(insert, writer.Append(weight.bytes));
    } else if (weight.HasBytes()) {
      BindPlace(insert, weight.place);
    } else {
      for (int column = 8; column <= 11; ++column) insert.BindNull(column);
    }
    insert.Run();
  }
  writer.Finish();
}

void DeleteUnfinishedSolvedWeights(const Database& database) {
  database.Prepare("DELETE FROM solved_weight WHERE unit > ?1")
      .Bind(1, int64_t{LastLayer(database).value_or(-1)})
      .Run();
}

std::set<std::string> SolvedWeightFiles(const Database& database) {
  Statement rows =
      database.Prepare("SELECT DISTINCT file FROM solved_weight WHERE file IS NOT NULL");
  std::set<std::string> files;
  while (rows.Step()) files.insert(rows.Text(0));
  return files;
}

}  // namespace vernier::run

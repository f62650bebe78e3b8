#include "run/partial_layer.h"

#include "run/run_files.h"
#include "run/solved_weight.h"
#include "run/sqlite.h"
#include "run/statistic_rows.h"

namespace vernier::run {
const char kPartialLayerTables[] = R"sql(
CREATE TABLE partial_layer (
  layer   INTEGER PRIMARY KEY,
  stage   TEXT NOT NULL,
  next    INTEGER NOT NULL,
  seconds REAL NOT NULL
);
CREATE TABLE partial_file (
  part      TEXT PRIMARY KEY,
  file_name TEXT NOT NULL,
  first     INTEGER NOT NULL,
  samples   INTEGER NOT NULL,
  hash      TEXT NOT NULL
) WITHOUT ROWID;
)sql";

namespace {

void Insert(const Database& database, const PartialLayer& partial) {
  database.Prepare("INSERT INTO partial_layer VALUES (?1, ?2, ?3, ?4)")
      .Bind(1, int64_t{partial.layer})
      .Bind(2, partial.stage)
      .Bind(3, partial.next)
      .Bind(4, partial.seconds)
      .Run();
  Statement file = database.Prepare("INSERT INTO partial_file VALUES (?1, ?2, ?3, ?4, ?5)");
  for (const SavedPart& part : partial.parts) {
    file.Bind(1, part.part)
        .Bind(2, part.file_name)
        .Bind(3, part.first)
        .Bind(4, part.samples)
        .Bind(5, part.hash)
        .Run();
  }
}

}  // namespace

std::vector<SavedPart> SavedParts(const Database& database) {
  std::vector<SavedPart> parts;
  Statement rows =
      database.Prepare("SELECT part, file_name, first, samples, hash FROM partial_file");
  while (rows.Step()) {
    parts.push_back({.part = rows.Text(0),
                     .file_name = rows.Text(1),
                     .first = rows.Integer(2),
                     .samples = rows.Integer(3),
                     .hash = rows.Text(4)});
  }
  return parts;
}

std::optional<PartialLayer> LoadPartialLayer(const Store& store) {
  const Database& database = store.database();
  Statement row = database.Prepare("SELECT layer, stage, next, seconds FROM partial_layer");
  if (!row.Step()) return std::nullopt;
  const int layer = static_cast<int>(row.Integer(0));
  return PartialLayer{.layer = layer,
                      .stage = row.Text(1),
                      .next = row.Integer(2),
                      .seconds = row.Real(3),
                      .non_finites = LoadNonFinite(database, layer),
                      .parts = SavedParts(database)};
}

void ClearPartialLayer(const Database& database) {
  database.Execute("DELETE FROM partial_layer; DELETE FROM partial_file");
  DeleteUnfinishedStatistics(database);
}

void DiscardPartialLayer(const Store& store) {
  Transaction transaction(store.database());
  ClearPartialLayer(store.database());
  DeleteUnfinishedSolvedWeights(store.database());
  DeleteUnfinishedFolds(store.database());
  DeleteUnfinishedFormatErrors(store.database());
  transaction.Commit();
  RemoveStaleValues(store);
}

void SavePartialLayer(const Store& store, const PartialLayer& partial,
                      std::span<const StatisticRow> statistics, const Decided& decided) {
  Transaction transaction(store.database());
  ClearPartialLayer(store.database());
  Insert(store.database(), partial);
  AddStatistics(store, partial.layer, statistics);
  AddSolvedWeights(store, partial.layer, decided.solved);
  AddFolds(store.database(), partial.layer, decided.folds);
  AddFormatErrors(store.database(), partial.layer, decided.format_errors);
  ReplaceNonFinite(store.database(), partial.layer, partial.non_finites);
  transaction.Commit();
  RemoveStaleValues(store);
}

}  // namespace vernier::run

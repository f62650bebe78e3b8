#include "run/layer_record.h"

#include "run/sqlite.h"

namespace vernier::run {

const char kLayerTables[] = R"sql(
CREATE TABLE layer (
  layer            INTEGER PRIMARY KEY,
  seconds          REAL NOT NULL,
  finished_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  activation_file  TEXT NOT NULL,
  activation_bytes INTEGER NOT NULL,
  activation_hash  TEXT NOT NULL
);
CREATE TABLE calibration (
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  finished INTEGER NOT NULL,
  layers   INTEGER
);
INSERT INTO calibration VALUES (1, 0, NULL);
)sql";

void InsertLayer(const Database& database, int layer, double seconds,
                 const ActivationCheckpoint& activations) {
  database
      .Prepare(
          "INSERT INTO layer (layer, seconds, activation_file, activation_bytes, activation_hash)"
          " VALUES (?1, ?2, ?3, ?4, ?5)")
      .Bind(1, int64_t{layer})
      .Bind(2, seconds)
      .Bind(3, activations.file_name)
      .Bind(4, static_cast<int64_t>(activations.bytes))
      .Bind(5, activations.hash)
      .Run();
}

std::optional<int> LastLayer(const Database& database) {
  Statement row = database.Prepare("SELECT layer FROM layer ORDER BY layer DESC LIMIT 1");
  if (!row.Step()) return std::nullopt;
  return static_cast<int>(row.Integer(0));
}

std::optional<ActivationCheckpoint> LastActivations(const Database& database) {
  Statement row = database.Prepare(
      "SELECT activation_file, activation_bytes, activation_hash FROM layer"
      " ORDER BY layer DESC LIMIT 1");
  if (!row.Step()) return std::nullopt;
  return ActivationCheckpoint{.file_name = row.Text(0),
                              .bytes = static_cast<uint64_t>(row.Integer(1)),
                              .hash = row.Text(2)};
}

std::vector<FinishedLayer> FinishedLayers(const Database& database) {
  std::vector<FinishedLayer> layers;
  Statement rows = database.Prepare("SELECT layer, seconds, finished_at FROM layer ORDER BY layer");
  while (rows.Step()) {
    layers.push_back({.layer = static_cast<int>(rows.Integer(0)),
                      .seconds = rows.Real(1),
                      .finished_at = rows.Text(2)});
  }
  return layers;
}

void SetTotalLayers(const Database& database, int64_t layers) {
  database.Prepare("UPDATE calibration SET layers = ?1").Bind(1, layers).Run();
}

std::optional<int64_t> TotalLayers(const Database& database) {
  Statement row = database.Prepare("SELECT layers FROM calibration WHERE layers IS NOT NULL");
  if (!row.Step()) return std::nullopt;
  return row.Integer(0);
}

void SetFinished(const Database& database) {
  database.Execute("UPDATE calibration SET finished = 1");
}

bool IsFinished(const Database& database) {
  return database.QueryInteger("SELECT finished FROM calibration") != 0;
}

}  // namespace vernier::run

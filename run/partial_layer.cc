#include "run/partial_layer.h"

#include "run/sqlite.h"
#include "run/store_schema.h"

namespace vernier::run {
namespace {

std::vector<InputAmax> LoadInputs(const Database& database, int layer) {
  std::vector<InputAmax> inputs;
  Statement rows = database.Prepare("SELECT module, amax, tokens FROM partial_amax");
  while (rows.Step()) {
    inputs.push_back({.module = rows.Text(0),
                      .layer = layer,
                      .amax = static_cast<float>(rows.Real(1)),
                      .tokens = rows.Integer(2)});
  }
  return inputs;
}

std::vector<SavedPart> LoadParts(const Database& database) {
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

void Insert(const Database& database, const PartialLayer& partial) {
  database.Prepare("INSERT INTO partial_layer VALUES (?1, ?2, ?3, ?4)")
      .Bind(1, int64_t{partial.layer})
      .Bind(2, partial.stage)
      .Bind(3, partial.next)
      .Bind(4, partial.seconds)
      .Run();
  Statement amax = database.Prepare("INSERT INTO partial_amax VALUES (?1, ?2, ?3)");
  for (const InputAmax& input : partial.inputs) {
    amax.Bind(1, input.module).Bind(2, double{input.amax}).Bind(3, input.tokens).Run();
  }
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

std::optional<PartialLayer> LoadPartialLayer(const Store& store) {
  const Database& database = store.database();
  Statement row = database.Prepare("SELECT layer, stage, next, seconds FROM partial_layer");
  if (!row.Step()) return std::nullopt;
  return PartialLayer{.layer = static_cast<int>(row.Integer(0)),
                      .stage = row.Text(1),
                      .next = row.Integer(2),
                      .seconds = row.Real(3),
                      .inputs = LoadInputs(database, static_cast<int>(row.Integer(0))),
                      .non_finites = LoadNonFinite(database, static_cast<int>(row.Integer(0))),
                      .parts = LoadParts(database)};
}

void DiscardPartialLayer(const Store& store) {
  Transaction transaction(store.database());
  ClearPartialLayer(store.database());
  transaction.Commit();
}

void SavePartialLayer(const Store& store, const PartialLayer& partial) {
  Transaction transaction(store.database());
  ClearPartialLayer(store.database());
  Insert(store.database(), partial);
  ReplaceNonFinite(store.database(), partial.layer, partial.non_finites);
  transaction.Commit();
}

}  // namespace vernier::run

#include "run/migration.h"

#include <fmt/format.h>

#include <string_view>
#include <vector>

#include "run/clamped_element.h"
#include "run/fold_record.h"
#include "run/format_error_record.h"
#include "run/input_amax.h"
#include "run/non_finite_record.h"
#include "run/run_log.h"
#include "run/solved_weight.h"
#include "run/statistic_rows.h"
#include "run/store_schema.h"

namespace vernier::run {
namespace {

// The layer of those rows of non_finite that were about elements of source tensors.
constexpr int kSourceTensors = -1;

void MoveAmax(const Database& database, std::string_view select) {
  std::vector<InputAmax> inputs;
  Statement rows = database.Prepare(select);
  while (rows.Step()) {
    inputs.push_back({.module = rows.Text(1),
                      .layer = static_cast<int>(rows.Integer(0)),
                      .amax = static_cast<float>(rows.Real(2)),
                      .tokens = rows.Integer(3)});
  }
  for (const StatisticRow& row : AmaxRows(inputs)) InsertSmallStatistic(database, row);
}

void MoveClampedElements(const Database& database) {
  for (const NonFiniteRecord& record : LoadNonFinite(database, kSourceTensors)) {
    SaveClampedTensor(database, {.tensor = record.module,
                                 .first = record.sample,
                                 .value = record.value,
                                 .count = record.count});
  }
  ReplaceNonFinite(database, kSourceTensors, {});
}

void MigrateFrom2(const Database& database) {
  database.Execute(kStatisticTable);
  database.Execute(kClampedElementTable);
  MoveAmax(database, "SELECT layer, module, amax, tokens FROM input_amax");
  MoveAmax(database, "SELECT layer, module, amax, tokens FROM partial_amax, partial_layer");
  MoveClampedElements(database);
  database.Execute("DROP TABLE input_amax; DROP TABLE partial_amax");
}

}  // namespace

void MigrateTables(const Database& database, int64_t version) {
  if (version == 2) MigrateFrom2(database);
  if (version <= 3) database.Execute(kSolvedWeightTable);
  if (version <= 4) database.Execute(kFoldTable);
  database.Execute(kFormatErrorTable);
  LogEvent(database, "migrate",
           fmt::format("from schema version {} to {}", version, kSchemaVersion));
}

}  // namespace vernier::run

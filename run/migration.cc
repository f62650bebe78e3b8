#include "run/migration.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "run/clamped_element.h"
#include "run/fold_record.h"
#include "run/format_error_record.h"
#include "run/input_amax.h"
#include "run/module_record.h"
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

// The number behind ".experts.", as all families of those versions named routed experts; -1
// without one.
int ExpertOf(std::string_view module) {
  constexpr std::string_view kExperts = ".experts.";
  const size_t place = module.find(kExperts);
  if (place == std::string_view::npos) return -1;
  const std::string_view number = module.substr(place + kExperts.size());
  int expert = -1;
  std::from_chars(number.data(), number.data() + number.size(), expert);
  return expert;
}

void NameModules(const Database& database) {
  std::map<std::string, ModuleRecord> modules;
  for (const StatisticKey& key : ListStatistics(database)) {
    if (!IsAmax(key.name)) continue;
    modules[key.module] = {.module = key.module,
                           .role = {},
                           .projection = key.module.substr(key.module.rfind('.') + 1),
                           .expert = ExpertOf(key.module)};
  }
  for (const auto& [name, record] : modules) SaveModules(database, std::span(&record, 1));
}

}  // namespace

void MigrateTables(const Database& database, int64_t version) {
  if (version == 2) MigrateFrom2(database);
  if (version <= 3) database.Execute(kSolvedWeightTable);
  if (version <= 4) database.Execute(kFoldTable);
  if (version <= 5) database.Execute(kFormatErrorTable);
  database.Execute(kModuleTable);
  NameModules(database);
  LogEvent(database, "migrate",
           fmt::format("from schema version {} to {}", version, kSchemaVersion));
}

}  // namespace vernier::run

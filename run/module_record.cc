#include "run/module_record.h"

#include <cstdint>

namespace vernier::run {

const char kModuleTable[] = R"sql(
CREATE TABLE module (
  module     TEXT PRIMARY KEY,
  role       TEXT NOT NULL,
  projection TEXT NOT NULL,
  expert     INTEGER
) WITHOUT ROWID;
)sql";

namespace {

using checkpoint::KvCacheEntry;
using checkpoint::LogicalWeight;

ModuleRecord RecordOf(const LogicalWeight& weight) {
  return {.module = weight.module,
          .role = std::string(checkpoint::RoleName(weight.role)),
          .projection = weight.projection,
          .expert = weight.expert};
}

ModuleRecord RecordOf(const KvCacheEntry& entry) {
  return {.module = entry.observed,
          .role = std::string(checkpoint::RoleName(checkpoint::Role::kAttention)),
          .projection = entry.observed.substr(entry.attention.size() + 1)};
}

}  // namespace

std::vector<ModuleRecord> ObservedModules(const checkpoint::ModelLayout& layout,
                                          const recipes::Plan& plan) {
  std::vector<ModuleRecord> records;
  for (const std::string& module : plan.observed_modules) {
    const LogicalWeight* weight = layout.FindModule(module);
    if (weight != nullptr) records.push_back(RecordOf(*weight));
  }
  for (const KvCacheEntry& entry : plan.kv_entries) records.push_back(RecordOf(entry));
  return records;
}

std::vector<ModuleRecord> ListModules(const Database& database) {
  Statement rows = database.Prepare(
      "SELECT module, role, projection, coalesce(expert, -1) FROM module ORDER BY module");
  std::vector<ModuleRecord> modules;
  while (rows.Step()) {
    modules.push_back({.module = rows.Text(0),
                       .role = rows.Text(1),
                       .projection = rows.Text(2),
                       .expert = static_cast<int>(rows.Integer(3))});
  }
  return modules;
}

void SaveModules(const Database& database, std::span<const ModuleRecord> modules) {
  Statement remove = database.Prepare("DELETE FROM module WHERE module = ?1");
  Statement insert = database.Prepare("INSERT INTO module VALUES (?1, ?2, ?3, ?4)");
  for (const ModuleRecord& record : modules) {
    remove.Bind(1, record.module).Run();
    insert.Bind(1, record.module).Bind(2, record.role).Bind(3, record.projection);
    if (record.expert < 0) {
      insert.BindNull(4);
    } else {
      insert.Bind(4, int64_t{record.expert});
    }
    insert.Run();
  }
}

}  // namespace vernier::run

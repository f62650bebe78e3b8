// The table `module`: what the modules are for whose inputs calibration observes.
#ifndef VERNIER_RUN_MODULE_RECORD_H_
#define VERNIER_RUN_MODULE_RECORD_H_

#include <span>
#include <string>
#include <vector>

#include "checkpoint/model_layout.h"
#include "recipes/plan.h"
#include "run/sqlite.h"

namespace vernier::run {

extern const char kModuleTable[];

struct ModuleRecord {
  std::string module;      // "layers.0.ffn.experts.3.w1", "model.layers.0.self_attn.k_cache"
  std::string role;        // checkpoint::RoleName; empty in a store of a version without the table
  std::string projection;  // "w1"; of a cache its name below the attention, "k_cache"
  int expert = -1;         // routed expert, or -1

  bool operator==(const ModuleRecord&) const = default;
};

// Of plan.observed_modules.
std::vector<ModuleRecord> ObservedModules(const checkpoint::ModelLayout& layout,
                                          const recipes::Plan& plan);

// By module.
std::vector<ModuleRecord> ListModules(const Database& database);

// Replaces those of the same modules, within the caller's transaction.
void SaveModules(const Database& database, std::span<const ModuleRecord> modules);

}  // namespace vernier::run

#endif  // VERNIER_RUN_MODULE_RECORD_H_

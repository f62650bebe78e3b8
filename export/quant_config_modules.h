// What an engine finds in each weight of an output of a plan.
#ifndef VERNIER_EXPORT_QUANT_CONFIG_MODULES_H_
#define VERNIER_EXPORT_QUANT_CONFIG_MODULES_H_

#include "checkpoint/source_model.h"
#include "dialects/module_formats.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"

namespace vernier::exporter {

dialects::ModuleFormats FormatsOf(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                                  const recipes::Recipe& recipe);

// Whether the config announces an FP8 key/value cache: the plan says so, or scales of one
// (X.k_scale) are carried.
bool HasFp8KvCache(const checkpoint::ModelLayout& layout, const recipes::Plan& plan);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_QUANT_CONFIG_MODULES_H_

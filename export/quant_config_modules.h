// What an engine finds in each weight of an output of a plan.
#ifndef VERNIER_EXPORT_QUANT_CONFIG_MODULES_H_
#define VERNIER_EXPORT_QUANT_CONFIG_MODULES_H_

#include "checkpoint/kv_cache_format.h"
#include "checkpoint/source_model.h"
#include "dialects/module_formats.h"
#include "recipes/plan.h"

namespace vernier::exporter {

dialects::ModuleFormats FormatsOf(const checkpoint::SourceModel& source, const recipes::Plan& plan);

// The key/value cache that the config announces: what the plan says, else what the source's configs
// do, else FP8 where scales of one (X.k_scale) are carried.
checkpoint::KvCacheFormat KvCacheOf(const checkpoint::SourceModel& source,
                                    const recipes::Plan& plan);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_QUANT_CONFIG_MODULES_H_

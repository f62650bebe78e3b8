// What a plan does about the key/value cache.
#ifndef VERNIER_RECIPES_PLAN_KV_CACHE_H_
#define VERNIER_RECIPES_PLAN_KV_CACHE_H_

#include "checkpoint/source_model.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"

namespace vernier::recipes {

// Sets plan.kv_cache and plan.kv_entries from export.kv_cache, and marks the source's own scales of
// the cache as dropped unless it is kNone. The other fields of plan.weights must be set.
//
// kFp8 and kNvfp4 have new scales. kFp8Cast and kNvfp4Cast have none where the dialect implies them
// (KvScales::absent_is_one); elsewhere they are written, with the value 1.
//
// kBadRule when engines take no scales of this model's cache from its checkpoint; for NVFP4 also
// when they read none from configs of the dialect, or cache latent vectors, or heads whose channels
// are no whole blocks; when nothing of the output is quantised, so that it has no config to say it
// in; and when its config stays the native one, which has no field for it.
void PlanKvCache(const checkpoint::SourceModel& source, const Recipe& recipe, Plan& plan);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_PLAN_KV_CACHE_H_

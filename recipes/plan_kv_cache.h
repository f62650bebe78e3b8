// What a plan does about the key/value cache.
#ifndef VERNIER_RECIPES_PLAN_KV_CACHE_H_
#define VERNIER_RECIPES_PLAN_KV_CACHE_H_

#include <vector>

#include "checkpoint/source_model.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "recipes/target_layout.h"

namespace vernier::recipes {

// Sets plan.kv_cache and plan.kv_entries from export.kv_cache, and marks the source's own scales of
// the cache as dropped unless it is kNone. The other fields of plan.weights must be set.
//
// kFp8 has new scales. kFp8Cast has none in the modelopt dialect, where engines take 1 for absent
// ones as for ModelOpt's own *_cast exports; in compressed-tensors they are written, with the value
// 1, because that library leaves absent ones uninitialised (lifecycle/initialize.py).
//
// kBadRule when engines take no scales of this model's cache from its checkpoint; when nothing of
// the output is quantised, so that it has no config to say it in; and when its config stays the
// native one, which has no field for it.
void PlanKvCache(const checkpoint::SourceModel& source, const Recipe& recipe, Plan& plan);

// The scales of one cached vector A, a key's, a value's or both:
//   modelopt             A.k_proj.k_scale, A.v_proj.v_scale, F32 []
//   compressed-tensors   A.k_scale, A.v_scale, BF16 [1]
// Latent attention has the same names, as in NVIDIA's DeepSeek checkpoints, though it has no
// k_proj.
std::vector<TargetPart> KvScaleParts(const checkpoint::KvCacheEntry& entry, Dialect dialect);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_PLAN_KV_CACHE_H_

#include "recipes/plan_kv_cache.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "base/error.h"
#include "checkpoint/families/kv_cache.h"
#include "recipes/source_convention.h"
#include "recipes/target_format.h"

namespace vernier::recipes {
namespace {

using checkpoint::KvCacheEntry;
using checkpoint::SourceModel;

[[noreturn]] void Refuse(const Recipe& recipe, const std::string& problem,
                         const std::string& remedy) {
  throw Error(ErrorCode::kBadRule,
              fmt::format("export.kv_cache \"{}\"", KvCacheName(recipe.kv_cache)), problem, remedy);
}

bool QuantisesAnything(const SourceModel& source, const Plan& plan) {
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    const Format format = plan.weights[i].format;
    if (IsQuantised(format)) return true;
    if (format == kKeep && IsQuantised(source.layout.weights[i])) return true;
  }
  return false;
}

void CheckDescribable(const SourceModel& source, const Recipe& recipe, const Plan& plan) {
  if (!QuantisesAnything(source, plan)) {
    Refuse(recipe, "nothing else is quantised, and engines read no config of a cache alone",
           "Quantise weights too, or choose the cache's type when serving (vLLM: --kv-cache-dtype "
           "fp8)");
  }
  if (StaysNative(source, plan)) {
    Refuse(recipe,
           "weights stay quantised as released, and the released config has no field for the cache",
           "Begin with a rule {\"name\": \"*\", \"format\": \"bf16\"}, or set it to \"none\"");
  }
}

}  // namespace

void PlanKvCache(const SourceModel& source, const Recipe& recipe, Plan& plan) {
  if (recipe.kv_cache == KvCache::kNone) return;
  if (!recipe.dialect->holds_kv_scales) {
    Refuse(recipe, fmt::format("the dialect {} has no scales of the cache", recipe.dialect->name),
           "Set it to \"none\" (--kv-cache none), and choose the cache's type when serving");
  }
  std::vector<KvCacheEntry> entries = source.family->KvCache(source.layout);
  if (entries.empty()) {
    Refuse(recipe,
           fmt::format("engines take no scales of the cache from a checkpoint of model_type \"{}\"",
                       source.family->model_type()),
           "Set it to \"none\"");
  }
  CheckDescribable(source, recipe, plan);
  plan.kv_cache = recipe.kv_cache;
  const bool implied =
      recipe.kv_cache == KvCache::kFp8Cast && plan.dialect->kv_scales.absent_is_one;
  if (!implied) plan.kv_entries = std::move(entries);
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    if (checkpoint::IsKvCacheScale(source.layout.weights[i].name)) plan.weights[i].dropped = true;
  }
}

}  // namespace vernier::recipes

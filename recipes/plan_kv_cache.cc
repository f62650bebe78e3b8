#include "recipes/plan_kv_cache.h"

#include <fmt/format.h>

#include <algorithm>
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

// vLLM (config/vllm.py, utils/torch_utils.py) and SGLang read one from ModelOpt's configs alone,
// and have no kernels for one of latents.
void CheckNvfp4Cache(const SourceModel& source, const Recipe& recipe, const Plan& plan,
                     const std::vector<KvCacheEntry>& entries) {
  if (!plan.dialect->kv_scales.nvfp4) {
    Refuse(recipe, fmt::format("engines read none from configurations of {}", plan.dialect->name),
           "Set export.dialect to \"modelopt\", or it to \"fp8\"");
  }
  if (std::ranges::any_of(entries, [](const KvCacheEntry& e) { return e.keys && e.values; })) {
    Refuse(recipe, "engines keep no latent vectors of attention in NVFP4", "Set it to \"fp8\"");
  }
  const int64_t head_dim = source.family->Dims().head_dim, block = BlockColumns(formats::kNvfp4);
  if (head_dim % block != 0) {
    Refuse(recipe, fmt::format("heads of {} channels are no whole blocks of {}", head_dim, block),
           "Set it to \"fp8\"");
  }
}

// A source's own scales would be read as FP8's where nothing says otherwise.
void CheckKeptCache(const SourceModel& source, const Recipe& recipe, const Plan& plan) {
  const bool lost =
      plan.dialect->holds_kv_scales && !plan.dialect->kv_scales.nvfp4 &&
      checkpoint::AnnouncedKvCache(source.checkpoint) == checkpoint::KvCacheFormat::kNvfp4;
  if (!lost) return;
  Refuse(recipe,
         fmt::format("the source has an NVFP4 cache, of which configurations of {} say nothing",
                     plan.dialect->name),
         "Set export.dialect to \"modelopt\", or it to \"fp8\" or \"fp8_cast\"");
}

}  // namespace

void PlanKvCache(const SourceModel& source, const Recipe& recipe, Plan& plan) {
  if (recipe.kv_cache == KvCache::kNone) return CheckKeptCache(source, recipe, plan);
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
  if (FormatOf(recipe.kv_cache) == checkpoint::KvCacheFormat::kNvfp4) {
    CheckNvfp4Cache(source, recipe, plan, entries);
  }
  CheckDescribable(source, recipe, plan);
  plan.kv_cache = recipe.kv_cache;
  const bool implied = !IsCalibrated(recipe.kv_cache) && plan.dialect->kv_scales.absent_is_one;
  if (!implied) plan.kv_entries = std::move(entries);
  for (size_t i = 0; i < plan.weights.size(); ++i) {
    if (checkpoint::IsKvCacheScale(source.layout.weights[i].name)) plan.weights[i].dropped = true;
  }
}

}  // namespace vernier::recipes

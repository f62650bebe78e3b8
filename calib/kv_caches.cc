#include "calib/kv_caches.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "checkpoint/families/kv_cache.h"
#include "checkpoint/kv_cache_format.h"

namespace vernier::calib {
namespace {

using checkpoint::KvCacheEntry;
using checkpoint::KvCacheFormat;
using checkpoint::LogicalWeight;
using checkpoint::SourceModel;

bool HoldsScales(const SourceModel& model) {
  return std::ranges::any_of(model.layout.weights, [](const LogicalWeight& weight) {
    return checkpoint::IsKvCacheScale(weight.name);
  });
}

float ScaleOf(const SourceModel& model, const KvCacheEntry& entry) {
  const auto& [projection, name] = entry.keys ? checkpoint::kKeyScale : checkpoint::kValueScale;
  for (const std::string_view owner : {projection, std::string_view()}) {
    const LogicalWeight* scale =
        model.layout.FindModule(entry.attention + std::string(owner) + std::string(name));
    if (scale != nullptr) return ReadActivationScale(model.checkpoint, scale->main);
  }
  return 1.0f;
}

}  // namespace

KvCaches ReadKvCaches(const SourceModel& model) {
  const KvCacheFormat announced = checkpoint::AnnouncedKvCache(model.checkpoint);
  KvCaches caches;
  if (announced == KvCacheFormat::kModel && !HoldsScales(model)) return caches;
  const ActivationFormat format =
      announced == KvCacheFormat::kNvfp4 ? ActivationFormat::kNvfp4 : ActivationFormat::kFp8Tensor;
  for (const KvCacheEntry& entry : model.family->KvCache(model.layout)) {
    caches.emplace(entry.observed,
                   ActivationQuantization{.format = format, .scale = ScaleOf(model, entry)});
  }
  return caches;
}

}  // namespace vernier::calib

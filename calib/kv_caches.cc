#include "calib/kv_caches.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "checkpoint/families/kv_cache.h"
#include "checkpoint/formats/codec.h"
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

void RequireWholeBlocks(const SourceModel& model) {
  const int64_t head_dim = model.family->Dims().head_dim;
  const int64_t block = checkpoint::formats::kNvfp4.parts.group;
  if (head_dim % block == 0) return;
  throw Error(ErrorCode::kBadConfig, (model.checkpoint.directory() / "config.json").string(),
              fmt::format("an NVFP4 cache is announced, and heads of {} channels are no whole "
                          "blocks of {}",
                          head_dim, block),
              "Announce FP8, or no cache");
}

}  // namespace

KvCaches ReadKvCaches(const SourceModel& model) {
  const KvCacheFormat announced = checkpoint::AnnouncedKvCache(model.checkpoint);
  KvCaches caches;
  if (announced == KvCacheFormat::kModel && !HoldsScales(model)) return caches;
  if (announced == KvCacheFormat::kNvfp4) RequireWholeBlocks(model);
  const ActivationFormat format =
      announced == KvCacheFormat::kNvfp4 ? ActivationFormat::kNvfp4 : ActivationFormat::kFp8Tensor;
  for (const KvCacheEntry& entry : model.family->KvCache(model.layout)) {
    caches.emplace(entry.observed,
                   ActivationQuantization{.format = format, .scale = ScaleOf(model, entry)});
  }
  return caches;
}

}  // namespace vernier::calib

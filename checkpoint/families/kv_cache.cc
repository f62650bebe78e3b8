#include "checkpoint/families/kv_cache.h"

#include <array>
#include <string>

namespace vernier::checkpoint {
namespace {

// What a projection's output becomes in the cache.
struct CachedProjection {
  std::string_view leaf;
  std::string_view cache;  // under the attention
  bool keys;
  bool values;
};
constexpr std::string_view kFusedProjection = "qkv_proj";

}  // namespace

bool IsKvCacheScale(std::string_view tensor) {
  return tensor.ends_with(kKeyScale.scale) || tensor.ends_with(kValueScale.scale);
}

std::vector<KvCacheEntry> HfKvCache(const ModelLayout& layout, const DecoderNames& names) {
  const std::array<CachedProjection, 5> cached = {{
      {names.k, kKeyCache, true, false},
      {names.v, kValueCache, false, true},
      {kFusedProjection, kKeyCache, true, false},
      {kFusedProjection, kValueCache, false, true},
      {names.kv_a, kKeyValueCache, true, true},
  }};
  std::vector<KvCacheEntry> entries;
  for (const LogicalWeight& weight : layout.weights) {
    if (weight.role != Role::kAttention || !weight.linear || weight.layer < 0) continue;
    const size_t below = weight.projection.size() + 1;
    if (weight.module.size() <= below) continue;
    const std::string attention = weight.module.substr(0, weight.module.size() - below);
    for (const CachedProjection& projection : cached) {
      if (weight.projection != projection.leaf) continue;
      entries.push_back({.layer = weight.layer,
                         .attention = attention,
                         .observed = attention + std::string(projection.cache),
                         .beside = weight.module,
                         .keys = projection.keys,
                         .values = projection.values});
    }
  }
  return entries;
}

}  // namespace vernier::checkpoint

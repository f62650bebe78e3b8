#include "checkpoint/families/kv_cache.h"

#include <array>
#include <string>

namespace vernier::checkpoint {
namespace {

// What a projection's output becomes in the cache.
struct CachedProjection {
  std::string_view leaf;   // of the projection's module
  std::string_view cache;  // under the attention
  bool keys;
  bool values;
};
constexpr std::array<CachedProjection, 5> kCachedProjections = {{
    {"k_proj", "k_cache", true, false},
    {"v_proj", "v_cache", false, true},
    {"qkv_proj", "k_cache", true, false},
    {"qkv_proj", "v_cache", false, true},
    {"kv_a_proj_with_mqa", "kv_cache", true, true},
}};
constexpr std::string_view kLinearAttention = "linear_attn";

}  // namespace

bool IsKvCacheScale(std::string_view tensor) {
  return tensor.ends_with(kKeyScale.scale) || tensor.ends_with(kValueScale.scale);
}

std::vector<KvCacheEntry> HfKvCache(const ModelLayout& layout) {
  std::vector<KvCacheEntry> entries;
  for (const LogicalWeight& weight : layout.weights) {
    if (weight.role != Role::kAttention || !weight.linear || weight.layer < 0) continue;
    const size_t dot = weight.module.rfind('.');
    if (dot == std::string::npos) continue;
    const std::string attention = weight.module.substr(0, dot);
    if (attention.ends_with(kLinearAttention)) continue;
    for (const CachedProjection& projection : kCachedProjections) {
      if (weight.module.substr(dot + 1) != projection.leaf) continue;
      entries.push_back({.layer = weight.layer,
                         .attention = attention,
                         .observed = attention + "." + std::string(projection.cache),
                         .beside = weight.module,
                         .keys = projection.keys,
                         .values = projection.values});
    }
  }
  return entries;
}

}  // namespace vernier::checkpoint

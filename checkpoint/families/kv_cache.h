// What attention caches, in models with Hugging Face's names.
#ifndef VERNIER_CHECKPOINT_FAMILIES_KV_CACHE_H_
#define VERNIER_CHECKPOINT_FAMILIES_KV_CACHE_H_

#include <string_view>
#include <vector>

#include "checkpoint/families/decoder_names.h"
#include "checkpoint/families/family.h"
#include "checkpoint/model_layout.h"

namespace vernier::checkpoint {

// How the scale of keys, or of values, is named: A.k_proj.k_scale by ModelOpt, A.k_scale by
// compressed-tensors, for an attention A.
struct KvScaleName {
  std::string_view projection;
  std::string_view scale;
};
inline constexpr KvScaleName kKeyScale = {".k_proj", ".k_scale"};
inline constexpr KvScaleName kValueScale = {".v_proj", ".v_scale"};

// What is cached, below its attention; it is observed under that name. The last holds keys and
// values in one vector.
inline constexpr std::string_view kKeyCache = ".k_cache";
inline constexpr std::string_view kValueCache = ".v_cache";
inline constexpr std::string_view kKeyValueCache = ".kv_cache";

// Whether a tensor is a scale of the key/value cache, in either dialect: X.k_scale or X.v_scale, of
// whatever module X.
bool IsKvCacheScale(std::string_view tensor);

// The caches of the decoder layers' attentions, in layout order, for Family::KvCache; under their
// usual names
//   A.k_proj, A.v_proj       A.k_cache and A.v_cache, with a scale each
//   A.qkv_proj               the same, both stored beside qkv_proj
//   A.kv_a_proj_with_mqa     A.kv_cache, one vector (normalised latent, then the rotated part of
//   the
//                            key) that is key and value: its scale is written under both names
// Attentions without keys and values of single tokens (linear_attn) cache nothing of this kind.
std::vector<KvCacheEntry> HfKvCache(const ModelLayout& layout, const DecoderNames& names = {});

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_KV_CACHE_H_

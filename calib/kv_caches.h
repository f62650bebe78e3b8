// How engines keep a checkpoint's keys and values.
#ifndef VERNIER_CALIB_KV_CACHES_H_
#define VERNIER_CALIB_KV_CACHES_H_

#include <functional>
#include <map>
#include <string>

#include "calib/activation_format.h"
#include "checkpoint/source_model.h"

namespace vernier::calib {

// By KvCacheEntry::observed: kFp8Tensor or kNvfp4.
using KvCaches = std::map<std::string, ActivationQuantization, std::less<>>;

// Of the format that the configurations announce (checkpoint/kv_cache_format.h), or FP8 where there
// are scales alone: A.k_proj.k_scale and A.v_proj.v_scale (ModelOpt), A.k_scale and A.v_scale
// (compressed-tensors) of the attention A. Empty without either. An absent scale is 1, as engines
// take it. A vector that is key and value at once has the key's. kBadWeightValue for a scale that
// is no positive number; kBadConfig for an NVFP4 cache of heads that are no whole blocks.
//
// NVFP4 is E2M1 with an E4M3 scale for 16 channels of a head, amax / (6 * scale), as vLLM's
// reshape_and_cache_flash and FlashInfer write it; queries are FP8 there, which is not emulated.
KvCaches ReadKvCaches(const checkpoint::SourceModel& model);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_KV_CACHES_H_

// The scales with which engines keep a checkpoint's keys and values in FP8.
#ifndef VERNIER_CALIB_CACHE_SCALES_H_
#define VERNIER_CALIB_CACHE_SCALES_H_

#include <functional>
#include <map>
#include <string>

#include "checkpoint/source_model.h"

namespace vernier::calib {

// By KvCacheEntry::observed, a multiplier each; empty when the checkpoint announces no FP8 cache.
// It does so by kv_cache_scheme in config.json, by kv_cache_quant_algo in hf_quant_config.json, or
// by scales: A.k_proj.k_scale and A.v_proj.v_scale (ModelOpt), A.k_scale and A.v_scale
// (compressed-tensors) of the attention A. An absent scale is 1, as engines take it. A vector that
// is key and value at once has the key's. kBadWeightValue for a scale that is no positive number.
std::map<std::string, float, std::less<>> ReadCacheScales(const checkpoint::SourceModel& model);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_CACHE_SCALES_H_

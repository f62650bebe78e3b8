// The scale of everything that attention caches, from calibrated statistics.
#ifndef VERNIER_EXPORT_KV_SCALES_H_
#define VERNIER_EXPORT_KV_SCALES_H_

#include <cstdint>
#include <vector>

#include "recipes/plan.h"
#include "run/store.h"

namespace vernier::exporter {

// Above it ModelOpt warns: values of a magnitude above 224 are coarse in E4M3.
inline constexpr float kLargeKvScale = 0.5f;

struct KvScale {
  float scale = 1.0f;  // amax / 448
  float amax = 0;
  int64_t tokens = 0;
};

// One per entry of plan.kv_entries. A cache that held nothing but zeros has the scale 1, which is
// exact for it; fp8_cast gives 1 to all. kNotCalibrated names a cache without a record or a token.
std::vector<KvScale> ResolveKvScales(const recipes::Plan& plan,
                                     const std::vector<run::InputAmax>& inputs);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_KV_SCALES_H_

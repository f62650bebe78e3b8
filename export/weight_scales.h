// The global weight scale of every scale group.
#ifndef VERNIER_EXPORT_WEIGHT_SCALES_H_
#define VERNIER_EXPORT_WEIGHT_SCALES_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "checkpoint/source_model.h"
#include "recipes/plan.h"

namespace vernier::exporter {

struct WeightScale {
  float global_scale = 1.0f;  // weight_scale_2
  int k_max = 0;              // lossless cast: the group's largest exponent
};

// Bytes of the source that ResolveWeightScales reads.
uint64_t WeightScaleBytes(const checkpoint::SourceModel& source, const recipes::Plan& plan);

// One scale per group of the plan, from all its members, whatever shards they are in: lossless
// 2^(k_max - 8), otherwise amax / (6 * 448). Reads scale tensors for the former and whole weights
// for the latter, in bounded chunks. `on_bytes` is called with the source bytes read, one call at a
// time. kBadWeightValue names a tensor with NaN or Inf.
std::vector<WeightScale> ResolveWeightScales(const checkpoint::SourceModel& source,
                                             const recipes::Plan& plan, int threads,
                                             const std::function<void(uint64_t)>& on_bytes);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_WEIGHT_SCALES_H_

// The scales of those groups that are too large, or too scattered, to be held while they are
// converted.
#ifndef VERNIER_EXPORT_WEIGHT_SCALES_H_
#define VERNIER_EXPORT_WEIGHT_SCALES_H_

#include <cstdint>
#include <vector>

#include "checkpoint/read_observer.h"
#include "checkpoint/source_model.h"
#include "export/folds.h"
#include "export/group_scale.h"
#include "export/on_bytes.h"
#include "export/stream_settings.h"
#include "recipes/plan.h"

namespace vernier::exporter {

// Indices of the groups with members in `shards` (indices into Plan::shards) whose scales must be
// known before those shards are written.
std::vector<size_t> GroupsToResolve(const checkpoint::SourceModel& source,
                                    const recipes::Plan& plan, const std::vector<size_t>& shards,
                                    const StreamLimits& limits);

// Bytes of the source that ResolveWeightScales reads.
uint64_t WeightScaleBytes(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                          const std::vector<size_t>& groups);

// Sets scales[group] of each of `groups` from all of its members as `folds` leave them, whatever
// shards they are in. Reads the block scales alone for a lossless cast, whole weights otherwise, in
// bounded chunks. The observer of `read` is given digests; what is clamped is reported when it is
// converted. kBadWeightValue names a tensor with NaN or Inf.
void ResolveWeightScales(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                         const std::vector<size_t>& groups, const Folds& folds,
                         const checkpoint::ReadOptions& read, const StreamSettings& settings,
                         const OnBytes& on_bytes, std::vector<WeightScale>& scales);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_WEIGHT_SCALES_H_

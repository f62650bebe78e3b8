// Writes output shards: finished or absent.
#ifndef VERNIER_EXPORT_SHARD_WRITER_H_
#define VERNIER_EXPORT_SHARD_WRITER_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "base/buffer_pool.h"
#include "checkpoint/containers/container.h"
#include "checkpoint/read_observer.h"
#include "checkpoint/source_model.h"
#include "export/error_weights.h"
#include "export/folds.h"
#include "export/group_scale.h"
#include "export/input_scales.h"
#include "export/kv_scales.h"
#include "export/on_bytes.h"
#include "export/solved_weights.h"
#include "export/stream_settings.h"
#include "recipes/plan.h"
#include "run/store.h"

namespace vernier::exporter {

// What every shard of an export is made from and with.
struct ShardInputs {
  const checkpoint::SourceModel& source;
  const recipes::Plan& plan;
  const std::vector<InputScale>& input_scales;
  const std::vector<KvScale>& kv_scales;
  const ErrorWeights& error_weights;
  const SolvedWeights& solved;
  const Folds& folds;
  checkpoint::ReadOptions read;
  StreamSettings settings;
  std::shared_ptr<BufferPool> pool;
};

// Writes `shard`, whose container makes `frame`, into `directory` through "<file name>.partial":
// preallocated, read ahead in the source's order, converted in parallel, written at planned
// offsets, fsynced and renamed. `weight_scales` has an entry per scale group: those of groups that
// are not held (IsHeld) are given, the others are set. The observer of inputs.read is given the
// digests of the source's tensors before the shard is published. The bytes do not depend on threads
// or I/O. Memory: the sum of settings.limits. kBadWeightValue, kNoSpace, kFileRead, kFileWrite.
run::ShardRecord WriteShard(const ShardInputs& inputs, const recipes::OutputShard& shard,
                            const checkpoint::FileFrame& frame,
                            const std::filesystem::path& directory, const OnBytes& on_bytes,
                            std::vector<WeightScale>& weight_scales);

// Sets the entries of `weight_scales` that WriteShard would have set, from the finished shard.
void ReadBackScales(const recipes::Plan& plan, const recipes::OutputShard& shard,
                    const std::filesystem::path& directory,
                    std::vector<WeightScale>& weight_scales);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_SHARD_WRITER_H_

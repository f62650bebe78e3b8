// An output shard, cut into independent jobs of bounded size.
#ifndef VERNIER_EXPORT_SHARD_JOBS_H_
#define VERNIER_EXPORT_SHARD_JOBS_H_

#include <cstdint>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/read_ahead.h"
#include "checkpoint/source_model.h"
#include "checkpoint/tensor_digests.h"
#include "export/row_bytes.h"
#include "export/row_encoder.h"
#include "export/stream_limits.h"
#include "recipes/plan.h"

namespace vernier::exporter {

// The tensors of a converted weight, as indices into OutputShard::tensors; kNone: it has none such.
struct ConvertedTensors {
  static constexpr size_t kNone = static_cast<size_t>(-1);
  size_t codes = kNone;
  size_t more_codes = kNone;
  size_t scale = kNone;
  size_t global_scale = kNone;
  size_t input_scale = kNone;
  size_t shape = kNone;
};

// By index into ModelLayout::weights.
std::unordered_map<size_t, ConvertedTensors> FindConverted(const checkpoint::SourceModel& source,
                                                           const recipes::OutputShard& shard);

RowTarget TargetOf(const recipes::Plan& plan, const recipes::OutputShard& shard, size_t weight,
                   const ConvertedTensors& tensors);

// The bytes read become the bytes of an output tensor from `offset` on.
struct CopyWork {
  size_t tensor = 0;  // index into OutputShard::tensors
  uint64_t offset = 0;
};

// The bytes read are, for each of `rows`, its range of the main tensor and that of its block
// scales.
struct EncodeWork {
  std::vector<WeightRows> rows;
  // `rows` is a whole scale group, whose scale is found first.
  bool finds_scale = false;
  // `rows` are what this tensor (index into OutputShard::tensors) stacks of one expert.
  size_t stack = ConvertedTensors::kNone;
};

struct ShardJob {
  ReadAhead::Job reads;
  std::variant<CopyWork, EncodeWork> work;
  uint64_t memory_bytes = 0;  // read and produced
};

// Whether the group's scale is found while it is converted: all of its weights lie in one shard and
// fit into limits.hold_bytes. Otherwise its scale must be known before.
bool IsHeld(const checkpoint::SourceModel& source, const recipes::Plan& plan,
            const recipes::ScaleGroup& group, const StreamLimits& limits);

// All jobs of `shard`, in the order of their places in the source. Together with the scalars of the
// weights they convert and the scales of the key/value cache they make every byte behind the header
// exactly once, and each tensor's bytes in order.
std::vector<ShardJob> CutShard(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                               const recipes::OutputShard& shard, const StreamLimits& limits);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_SHARD_JOBS_H_

#include "export/weight_scales.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <set>
#include <utility>

#include "base/bounded_pipeline.h"
#include "base/buffer_pool.h"
#include "base/read_ahead.h"
#include "checkpoint/clamped_rows.h"
#include "checkpoint/tensor_digests.h"
#include "export/shard_jobs.h"
#include "export/stream_limits.h"

namespace vernier::exporter {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::SourceModel;
using recipes::ScaleGroup;
using recipes::ScaleMethod;

// Rows of one member of a group.
struct GroupRows {
  size_t group = 0;
  WeightRows rows;
};

// What a pass over some groups reads, row chunk by row chunk.
class RowWalk {
 public:
  RowWalk(const SourceModel& source, const recipes::Plan& plan, const std::vector<size_t>& groups) {
    for (const size_t group : groups) {
      for (const size_t member : plan.scale_groups[group].weights) {
        AddRows(source, group, member);
      }
    }
  }

  std::optional<GroupRows> Next() {
    if (chunks_.empty()) return std::nullopt;
    const GroupRows chunk = chunks_.front();
    chunks_.pop_front();
    return chunk;
  }

 private:
  void AddRows(const SourceModel& source, size_t group, size_t member) {
    const LogicalWeight& weight = source.layout.weights[member];
    if (weight.rows() == 0) return;
    const uint64_t bytes = source.checkpoint.tensor(weight.main).info.Bytes();
    const int64_t step = std::max(RowsReadTogether(source, member),
                                  RowsPerChunk(bytes / static_cast<uint64_t>(weight.rows()), 1));
    for (int64_t row = 0; row < weight.rows(); row += step) {
      chunks_.push_back({group, {member, row, std::min(step, weight.rows() - row)}});
    }
  }

  std::deque<GroupRows> chunks_;
};

struct ReadRows {
  GroupRows what;
  std::vector<ReadBlock> blocks;
  RowBytes bytes;
};

struct RowResult {
  size_t group = 0;
  uint64_t bytes = 0;
  Extremes extremes;
};

}  // namespace

std::vector<size_t> GroupsToResolve(const SourceModel& source, const recipes::Plan& plan,
                                    const std::vector<size_t>& shards, const StreamLimits& limits) {
  std::set<size_t> groups;
  for (const size_t shard : shards) {
    for (const recipes::OutputTensor& tensor : plan.shards[shard].tensors) {
      if (tensor.part != recipes::OutputPart::kCodes) continue;
      const recipes::WeightPlan& weight = plan.weights[tensor.weight];
      if (!checkpoint::IsQuantised(weight.format)) continue;
      const ScaleGroup& group = plan.scale_groups[weight.scale_group];
      if (HasGroupScale(plan, group) && !IsHeld(source, plan, group, limits)) {
        groups.insert(weight.scale_group);
      }
    }
  }
  return {groups.begin(), groups.end()};
}

uint64_t WeightScaleBytes(const SourceModel& source, const recipes::Plan& plan,
                          const std::vector<size_t>& groups) {
  uint64_t bytes = 0;
  for (const size_t index : groups) {
    const ScaleGroup& group = plan.scale_groups[index];
    for (const size_t member : group.weights) {
      const LogicalWeight& weight = source.layout.weights[member];
      const size_t tensor = group.scale == ScaleMethod::kLossless ? weight.scale : weight.main;
      bytes += source.checkpoint.tensor(tensor).info.Bytes();
    }
  }
  return bytes;
}

void ResolveWeightScales(const SourceModel& source, const recipes::Plan& plan,
                         const std::vector<size_t>& groups, const Folds& folds,
                         const checkpoint::ReadOptions& read, const StreamSettings& settings,
                         const OnBytes& on_bytes, std::vector<WeightScale>& scales) {
  std::vector<Extremes> found(plan.scale_groups.size());
  std::deque<GroupRows> being_read;
  RowWalk walk(source, plan, groups);
  const auto next_job = [&]() -> std::optional<ReadAhead::Job> {
    const std::optional<GroupRows> chunk = walk.Next();
    if (!chunk) return std::nullopt;
    being_read.push_back(*chunk);
    ReadAhead::Job job;
    AddReads(source, chunk->rows, job);
    if (plan.scale_groups[chunk->group].scale == ScaleMethod::kLossless) job.front() = {};
    return job;
  };
  ReadAhead reader(source.checkpoint.ShardPaths(), next_job, settings.limits.read_ahead_bytes,
                   BufferPool::Make(settings.limits.spare_bytes), settings.io);

  checkpoint::TensorDigests digests(source.checkpoint, read.observer);
  const auto take = [&]() -> std::optional<ReadRows> {
    std::optional<std::vector<ReadBlock>> blocks = reader.Next();
    if (!blocks) return std::nullopt;
    const GroupRows what = being_read.front();
    being_read.pop_front();
    RowBytes bytes(source, what.rows, *blocks);
    bytes.AddTo(source, what.rows, digests);
    return ReadRows{what, *std::move(blocks), std::move(bytes)};
  };
  const auto work = [&](const ReadRows& rows) {
    const LogicalWeight& weight = source.layout.weights[rows.what.rows.weight];
    const ScaleGroup& group = plan.scale_groups[rows.what.group];
    const bool lossless = group.scale == ScaleMethod::kLossless;
    const checkpoint::RawRows raw = rows.bytes.Raw(source, rows.what.rows);
    const checkpoint::Rescaling rescaling = folds.Of(rows.what.rows.weight);
    const auto find = [&](const checkpoint::RawRows& finite) {
      return FindExtremes(source.checkpoint, weight, rescaling, group, finite);
    };
    return RowResult{rows.what.group, (lossless ? rows.bytes.scale() : rows.bytes.main()).size(),
                     read.clamp
                         ? find(checkpoint::ClampedRows(source.checkpoint, weight, raw).rows())
                         : find(raw)};
  };
  const auto done = [&](const RowResult& result) {
    found[result.group].Merge(result.extremes);
    on_bytes(result.bytes);
  };
  RunBounded(settings.threads, settings.threads, take, work, done);

  for (const size_t group : groups) {
    scales[group] = ScaleOf(plan, plan.scale_groups[group], found[group]);
  }
}

}  // namespace vernier::exporter

#include "export/shard_jobs.h"

#include <algorithm>
#include <cassert>
#include <tuple>
#include <utility>

#include "checkpoint/row_ranges.h"
#include "export/stream_limits.h"

namespace vernier::exporter {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::SourceModel;
using recipes::OutputPart;
using recipes::OutputShard;
using recipes::OutputTensor;
using recipes::ScaleGroup;

uint64_t SourceBytes(const SourceModel& source, const LogicalWeight& weight) {
  uint64_t bytes = source.checkpoint.tensor(weight.main).info.Bytes();
  if (weight.scale != checkpoint::Checkpoint::kNotFound) {
    bytes += source.checkpoint.tensor(weight.scale).info.Bytes();
  }
  return bytes;
}

uint64_t ReadBytes(const ReadAhead::Job& reads) {
  uint64_t bytes = 0;
  for (const FileRange& range : reads) bytes += range.end - range.begin;
  return bytes;
}

class ShardCutter {
 public:
  ShardCutter(const SourceModel& source, const recipes::Plan& plan, const OutputShard& shard,
              const StreamLimits& limits)
      : source_(source),
        plan_(plan),
        shard_(shard),
        limits_(limits),
        converted_(FindConverted(shard)) {}

  std::vector<ShardJob> Cut() {
    for (size_t i = 0; i < shard_.tensors.size(); ++i) {
      const OutputTensor& tensor = shard_.tensors[i];
      if (tensor.part == OutputPart::kSourceBytes) CutCopy(i);
      if (tensor.part == OutputPart::kCodes) CutWeight(tensor.weight);
    }
    std::ranges::stable_sort(jobs_, {}, [](const ShardJob& job) {
      return std::tuple(job.reads.front().file, job.reads.front().begin);
    });
    return std::move(jobs_);
  }

 private:
  void CutCopy(size_t index) {
    const OutputTensor& tensor = shard_.tensors[index];
    const checkpoint::TensorLocation& from = source_.checkpoint.tensor(tensor.source_tensor);
    for (uint64_t done = 0; done < tensor.info.Bytes(); done += kChunkBytes) {
      const uint64_t bytes = std::min(kChunkBytes, tensor.info.Bytes() - done);
      const uint64_t begin = from.info.begin + done;
      jobs_.push_back({{{from.shard, begin, begin + bytes}}, CopyWork{index, done}, bytes});
    }
  }

  void CutWeight(size_t index) {
    const recipes::WeightPlan& weight = plan_.weights[index];
    if (!checkpoint::IsQuantised(weight.format)) return CutRows(index);
    const ScaleGroup& group = plan_.scale_groups[weight.scale_group];
    if (!HasGroupScale(plan_, group) || !IsHeld(source_, plan_, group, limits_))
      return CutRows(index);
    if (group.weights.front() == index) AddGroup(group);
  }

  void AddGroup(const ScaleGroup& group) {
    EncodeWork work{.rows = {}, .finds_scale = true};
    for (const size_t member : group.weights) {
      work.rows.push_back({member, 0, source_.layout.weights[member].rows()});
    }
    AddEncode(std::move(work));
  }

  void CutRows(size_t index) {
    const LogicalWeight& weight = source_.layout.weights[index];
    if (weight.rows() == 0) return;
    const RowTarget target = TargetOf(plan_, shard_, index, converted_.at(index));
    const uint64_t read = SourceBytes(source_, weight) / static_cast<uint64_t>(weight.rows());
    const uint64_t made = target.CodeBytes(1, weight.columns());
    const int64_t step = RowsPerChunk(std::max(read, made), target.Quantum());
    for (int64_t row = 0; row < weight.rows(); row += step) {
      AddEncode({.rows = {{index, row, std::min(step, weight.rows() - row)}}});
    }
  }

  void AddEncode(EncodeWork work) {
    ShardJob job;
    for (const WeightRows& rows : work.rows) {
      AddReads(source_, rows, job.reads);
      const RowTarget target = TargetOf(plan_, shard_, rows.weight, converted_.at(rows.weight));
      const int64_t columns = source_.layout.weights[rows.weight].columns();
      job.memory_bytes += target.CodeBytes(rows.row_count, columns) +
                          target.ScaleBytes(rows.row_count, columns);
    }
    job.memory_bytes += ReadBytes(job.reads);
    job.work = std::move(work);
    jobs_.push_back(std::move(job));
  }

  const SourceModel& source_;
  const recipes::Plan& plan_;
  const OutputShard& shard_;
  const StreamLimits& limits_;
  std::unordered_map<size_t, ConvertedTensors> converted_;
  std::vector<ShardJob> jobs_;
};

}  // namespace

std::unordered_map<size_t, ConvertedTensors> FindConverted(const OutputShard& shard) {
  std::unordered_map<size_t, ConvertedTensors> converted;
  for (size_t i = 0; i < shard.tensors.size(); ++i) {
    const OutputTensor& tensor = shard.tensors[i];
    if (tensor.part == OutputPart::kSourceBytes || tensor.part == OutputPart::kKvScale) continue;
    ConvertedTensors& tensors = converted[tensor.weight];
    if (tensor.part == OutputPart::kCodes) tensors.codes = i;
    if (tensor.part == OutputPart::kScale) tensors.scale = i;
    if (tensor.part == OutputPart::kGlobalScale) tensors.global_scale = i;
    if (tensor.part == OutputPart::kInputScale) tensors.input_scale = i;
    if (tensor.part == OutputPart::kShape) tensors.shape = i;
  }
  return converted;
}

RowTarget TargetOf(const recipes::Plan& plan, const OutputShard& shard, size_t weight,
                   const ConvertedTensors& tensors) {
  RowTarget target{.format = plan.weights[weight].format,
                   .method = plan.weights[weight].scale,
                   .blocks = plan.fp8_blocks.size};
  if (tensors.scale != ConvertedTensors::kNone) {
    target.scale_dtype = shard.tensors[tensors.scale].info.dtype;
  }
  return target;
}

void AddReads(const SourceModel& source, const WeightRows& rows, ReadAhead::Job& reads) {
  const auto ranges = RowRanges(source.checkpoint, source.layout.weights[rows.weight],
                                rows.row_begin, rows.row_count);
  reads.insert(reads.end(), ranges.begin(), ranges.end());
}

checkpoint::RawRows RawRowsOf(const SourceModel& source, const WeightRows& rows,
                              std::span<const ReadBlock> blocks) {
  assert(blocks.size() == 2);
  return {.row_begin = rows.row_begin,
          .row_count = rows.row_count,
          .main = blocks[0].bytes(),
          .scale = blocks[1].bytes(),
          .global_scale = ReadGlobalScale(source.checkpoint, source.layout.weights[rows.weight])};
}

void AddDigests(const SourceModel& source, const WeightRows& rows,
                std::span<const ReadBlock> blocks, checkpoint::TensorDigests& digests) {
  assert(blocks.size() == 2);
  const LogicalWeight& weight = source.layout.weights[rows.weight];
  const auto main = MainRange(source.checkpoint, weight, rows.row_begin, rows.row_count);
  const auto scale = ScaleRange(source.checkpoint, weight, rows.row_begin, rows.row_count);
  digests.Add(weight.main, main.begin, blocks[0].bytes());
  digests.Add(weight.scale, scale.begin, blocks[1].bytes());
  if (rows.row_begin > 0) return;
  for (const size_t part : weight.whole_parts()) {
    if (part != checkpoint::Checkpoint::kNotFound) digests.AddWhole(part);
  }
}

bool IsHeld(const SourceModel& source, const recipes::Plan& plan, const ScaleGroup& group,
            const StreamLimits& limits) {
  uint64_t bytes = 0;
  const size_t shard =
      source.checkpoint.tensor(source.layout.weights[group.weights.front()].main).shard;
  for (const size_t index : group.weights) {
    const LogicalWeight& weight = source.layout.weights[index];
    if (source.checkpoint.tensor(weight.main).shard != shard) return false;
    bytes += SourceBytes(source, weight) +
             checkpoint::CodeBytes(plan.weights[index].format->parts, weight.rows(), weight.columns());
  }
  return bytes <= limits.hold_bytes;
}

std::vector<ShardJob> CutShard(const SourceModel& source, const recipes::Plan& plan,
                               const OutputShard& shard, const StreamLimits& limits) {
  return ShardCutter(source, plan, shard, limits).Cut();
}

}  // namespace vernier::exporter

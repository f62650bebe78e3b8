#include "export/shard_jobs.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "export/stream_limits.h"

namespace vernier::exporter {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::SourceModel;
using recipes::OutputPart;
using recipes::OutputShard;
using recipes::OutputTensor;
using recipes::ScaleGroup;

// The weights whose values are parts of the stored tensor, in layout order.
std::vector<size_t> WeightsOfStack(const SourceModel& source, size_t stored) {
  std::vector<size_t> weights;
  for (size_t i = 0; i < source.layout.weights.size(); ++i) {
    const checkpoint::StackPart* part = source.checkpoint.PartOf(source.layout.weights[i].main);
    if (part != nullptr && part->stored == stored) weights.push_back(i);
  }
  return weights;
}

class ShardCutter {
 public:
  ShardCutter(const SourceModel& source, const recipes::Plan& plan, const OutputShard& shard,
              const StreamLimits& limits)
      : source_(source),
        plan_(plan),
        shard_(shard),
        limits_(limits),
        converted_(FindConverted(source, shard)) {}

  std::vector<ShardJob> Cut() {
    for (size_t i = 0; i < shard_.tensors.size(); ++i) {
      const OutputTensor& tensor = shard_.tensors[i];
      if (tensor.part == OutputPart::kSourceBytes) CutCopy(i);
      if (tensor.part != OutputPart::kCodes) continue;
      if (tensor.stack != OutputTensor::kNoStack) {
        CutStack(i);
      } else {
        CutWeight(tensor.weight);
      }
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

  // An expert at a time: what the stack holds of it.
  void CutStack(size_t index) {
    std::map<int64_t, EncodeWork> by_expert;
    for (const size_t weight : WeightsOfStack(source_, shard_.tensors[index].stack)) {
      EncodeWork& work = by_expert[source_.layout.weights[weight].expert];
      work.stack = index;
      work.rows.push_back({weight, 0, source_.layout.weights[weight].rows()});
    }
    for (auto& [expert, work] : by_expert) AddEncode(std::move(work));
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
    const uint64_t read =
        MemoryOfRows(source_, {index, 0, weight.rows()}) / static_cast<uint64_t>(weight.rows());
    const uint64_t made = target.CodeBytes(1, weight.columns());
    const int64_t together = RowsReadTogether(source_, index);
    const int64_t step = std::max(together, RowsPerChunk(std::max(read, made), target.Quantum()));
    for (int64_t row = 0; row < weight.rows(); row += step) {
      AddEncode({.rows = {{index, row, std::min(step, weight.rows() - row)}}});
    }
  }

  uint64_t MostPlaced(const WeightRows& rows, const RowTarget& target) const {
    const int64_t columns = source_.layout.weights[rows.weight].columns();
    if (target.keeps_codes()) return MemoryOfRows(source_, rows);
    return target.CodeBytes(rows.row_count, columns) + target.ScaleBytes(rows.row_count, columns);
  }

  void AddEncode(EncodeWork work) {
    ShardJob job;
    for (const WeightRows& rows : work.rows) {
      AddReads(source_, rows, job.reads);
      const RowTarget target = TargetOf(plan_, shard_, rows.weight, converted_.at(rows.weight));
      const int64_t columns = source_.layout.weights[rows.weight].columns();
      const uint64_t codes = target.CodeBytes(rows.row_count, columns);
      job.memory_bytes +=
          MemoryOfRows(source_, rows) + codes + target.ScaleBytes(rows.row_count, columns);
      if (work.stack != ConvertedTensors::kNone) job.memory_bytes += codes;  // in the slab
      // Moved into blocks, and again into another order.
      if (target.placement != nullptr) job.memory_bytes += 2 * MostPlaced(rows, target);
    }
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

std::unordered_map<size_t, ConvertedTensors> FindConverted(const SourceModel& source,
                                                           const OutputShard& shard) {
  std::unordered_map<size_t, ConvertedTensors> converted;
  for (size_t i = 0; i < shard.tensors.size(); ++i) {
    const OutputTensor& tensor = shard.tensors[i];
    if (tensor.stack != OutputTensor::kNoStack) {
      for (const size_t weight : WeightsOfStack(source, tensor.stack)) converted[weight].codes = i;
      continue;
    }
    if (tensor.part == OutputPart::kSourceBytes || tensor.part == OutputPart::kKvScale) continue;
    ConvertedTensors& tensors = converted[tensor.weight];
    if (tensor.part == OutputPart::kCodes) tensors.codes = i;
    if (tensor.part == OutputPart::kMoreCodes) tensors.more_codes = i;
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
  if (plan.weights[weight].placement) {
    target.placement = &*plan.weights[weight].placement;
    target.format = target.placement->format;
    if (target.format) target.scale_dtype = target.format->parts.scale;
  }
  if (tensors.scale != ConvertedTensors::kNone) {
    target.scale_dtype = shard.tensors[tensors.scale].info.dtype;
  }
  return target;
}

bool IsHeld(const SourceModel& source, const recipes::Plan& plan, const ScaleGroup& group,
            const StreamLimits& limits) {
  uint64_t bytes = 0;
  const size_t shard =
      source.checkpoint.tensor(source.layout.weights[group.weights.front()].main).shard;
  for (const size_t index : group.weights) {
    const LogicalWeight& weight = source.layout.weights[index];
    if (source.checkpoint.tensor(weight.main).shard != shard) return false;
    bytes +=
        MemoryOfRows(source, {index, 0, weight.rows()}) +
        checkpoint::CodeBytes(plan.weights[index].format->parts, weight.rows(), weight.columns());
  }
  return bytes <= limits.hold_bytes;
}

std::vector<ShardJob> CutShard(const SourceModel& source, const recipes::Plan& plan,
                               const OutputShard& shard, const StreamLimits& limits) {
  return ShardCutter(source, plan, shard, limits).Cut();
}

}  // namespace vernier::exporter

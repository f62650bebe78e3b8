#include "audit/stream_plan.h"

#include <algorithm>
#include <numeric>

#include "audit/byte_scan.h"
#include "audit/scale_readings.h"
#include "audit/scale_sample.h"
#include "checkpoint/row_ranges.h"

namespace vernier::audit {
namespace {

using checkpoint::Checkpoint;
using checkpoint::LogicalWeight;

// Bytes below which a scale row that several jobs need is rather kept in one of them.
constexpr uint64_t kLargestQuantum = 4 * kStreamJobBytes;

// Of what `rows` rows of both weights need.
uint64_t RowBytes(const Checkpoint& checkpoint, const LogicalWeight& weight, int64_t rows) {
  return MainRange(checkpoint, weight, 0, rows).size() +
         ScaleRange(checkpoint, weight, 0, rows).size();
}

// Rows that share their scales with no others.
int64_t RowQuantum(const LogicalWeight& weight) {
  const bool by_block = weight.format == formats::kFp8Block;
  return by_block ? std::max<int64_t>(1, weight.block_rows) : 1;
}

// Whether ReadScales has read all of a module's tensor.
bool IsKnownScalar(const Subject& subject, const Module& module, size_t tensor) {
  const bool is_scale = tensor == module.global_scale || tensor == module.input_scale;
  return is_scale && IsScalar(subject.Info(tensor));
}

}  // namespace

std::vector<StreamJob> StreamPlan::Jobs() const {
  std::vector<Stretch> stretches;
  for (size_t i = 0; i < subject_.index.modules.size(); ++i) AddModule(i, &stretches);
  // Tensors are in the order of shards and places.
  std::stable_sort(stretches.begin(), stretches.end(),
                   [](const Stretch& a, const Stretch& b) { return a.tensor < b.tensor; });
  std::vector<StreamJob> jobs;
  for (const Stretch& stretch : stretches) {
    for (uint64_t begin = 0; begin < stretch.whole.end; begin += stretch.step) {
      StreamJob job = stretch.whole;
      job.begin = begin;
      job.end = std::min(stretch.whole.end, begin + stretch.step);
      jobs.push_back(job);
    }
  }
  return jobs;
}

void StreamPlan::AddModule(size_t index, std::vector<Stretch>* stretches) const {
  const Module& module = subject_.index.modules[index];
  std::vector<size_t> left = module.tensors;
  const auto take = [&left](size_t tensor) { std::erase(left, tensor); };
  if (comparison_ != nullptr && comparison_->pairs.contains(index)) {
    stretches->push_back(RowStretch(index));
    take(module.weight);
    take(OwnWeight(stretches->back().whole).scale);
  } else if (BlocksAgree(subject_, module)) {
    constexpr uint64_t kBlocks = kStreamJobBytes / (kNibbleBytesPerScale + 1);
    const size_t scales = BlockScalesOf(subject_, module);
    const uint64_t blocks = subject_.Info(scales).Bytes();
    stretches->push_back({{StreamJobKind::kBlocks, index, kAbsent, 0, blocks},
                          kBlocks,
                          std::min(module.weight, scales)});
    take(module.weight);
    take(scales);
  }
  for (const size_t tensor : left) {
    if (CarriedFrom(tensor) == kAbsent && IsKnownScalar(subject_, module, tensor)) continue;
    const uint64_t bytes = subject_.Info(tensor).Bytes();
    stretches->push_back(
        {{StreamJobKind::kBytes, index, tensor, 0, bytes}, kStreamJobBytes, tensor});
  }
}

StreamPlan::Stretch StreamPlan::RowStretch(size_t index) const {
  const StreamJob whole = {StreamJobKind::kRows, index};
  const LogicalWeight& own = OwnWeight(whole);
  const LogicalWeight& source = SourceWeight(whole);
  const auto bytes_of = [&](int64_t rows) {
    return std::max<uint64_t>(1, RowBytes(subject_.checkpoint, own, rows) +
                                     RowBytes(comparison_->source.checkpoint, source, rows));
  };
  int64_t quantum = std::min(own.rows(), std::lcm(RowQuantum(own), RowQuantum(source)));
  if (quantum > 1 && bytes_of(quantum) > kLargestQuantum) quantum = 1;
  const uint64_t quanta =
      quantum == 0 ? 1 : std::max<uint64_t>(1, kStreamJobBytes / bytes_of(quantum));
  const bool empty = own.rows() * ColumnsPerRow(own) == 0;
  Stretch stretch{whole, quanta * static_cast<uint64_t>(std::max<int64_t>(1, quantum)), own.main};
  stretch.whole.end = empty ? 1 : static_cast<uint64_t>(own.rows());
  return stretch;
}

const LogicalWeight& StreamPlan::OwnWeight(const StreamJob& job) const {
  return comparison_->layout.weights[comparison_->pairs.at(job.module).own];
}

const LogicalWeight& StreamPlan::SourceWeight(const StreamJob& job) const {
  return comparison_->source_layout.weights[comparison_->pairs.at(job.module).source];
}

std::vector<std::filesystem::path> StreamPlan::Files() const {
  std::vector<std::filesystem::path> files = subject_.checkpoint.ShardPaths();
  if (comparison_ == nullptr) return files;
  const auto source_files = comparison_->source.checkpoint.ShardPaths();
  files.insert(files.end(), source_files.begin(), source_files.end());
  return files;
}

size_t StreamPlan::FirstSourceFile() const { return subject_.checkpoint.shards().size(); }

FileRange StreamPlan::OwnRange(size_t tensor, uint64_t begin, uint64_t end) const {
  const checkpoint::TensorLocation& location = subject_.checkpoint.tensor(tensor);
  return {location.shard, location.info.begin + begin, location.info.begin + end};
}

FileRange StreamPlan::SourceRange(size_t tensor, uint64_t begin, uint64_t end) const {
  const checkpoint::TensorLocation& location = comparison_->source.checkpoint.tensor(tensor);
  return {FirstSourceFile() + location.shard, location.info.begin + begin,
          location.info.begin + end};
}

ReadAhead::Job StreamPlan::RowReads(const StreamJob& job) const {
  const auto row = static_cast<int64_t>(job.begin);
  const auto rows = static_cast<int64_t>(job.end - job.begin);
  const LogicalWeight& own = OwnWeight(job);
  const LogicalWeight& source = SourceWeight(job);
  if (own.rows() * ColumnsPerRow(own) == 0) return ReadAhead::Job(4);
  const auto [main, scale] = RowRanges(subject_.checkpoint, own, row, rows);
  const auto [source_main, source_scale] =
      RowRanges(comparison_->source.checkpoint, source, row, rows, FirstSourceFile());
  return {main, scale, source_main, source_scale};
}

std::vector<size_t> StreamPlan::Tensors(const StreamJob& job) const {
  if (job.kind == StreamJobKind::kBytes) return {job.tensor};
  const Module& module = subject_.index.modules[job.module];
  return {module.weight, BlockScalesOf(subject_, module)};
}

size_t StreamPlan::CarriedFrom(size_t tensor) const {
  return comparison_ == nullptr ? kAbsent : comparison_->carried_from[tensor];
}

ReadAhead::Job StreamPlan::Reads(const StreamJob& job) const {
  if (job.kind == StreamJobKind::kRows) return RowReads(job);
  const Module& module = subject_.index.modules[job.module];
  ReadAhead::Job reads;
  for (const size_t tensor : Tensors(job)) {
    const bool nibbles = job.kind == StreamJobKind::kBlocks && tensor == module.weight;
    const uint64_t bytes = nibbles ? kNibbleBytesPerScale : 1;
    reads.push_back(OwnRange(tensor, job.begin * bytes, job.end * bytes));
    const size_t source = CarriedFrom(tensor);
    if (source == kAbsent) continue;
    reads.push_back(SourceRange(source, job.begin * bytes, job.end * bytes));
  }
  return reads;
}

}  // namespace vernier::audit

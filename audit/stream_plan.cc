#include "audit/stream_plan.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "audit/byte_scan.h"
#include "audit/scale_readings.h"
#include "audit/scale_sample.h"
#include "base/rounding.h"
#include "checkpoint/weight_decoder.h"

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

// Each of its rows needs all of an expert's slab.
bool IsTransposed(const Checkpoint& checkpoint, const LogicalWeight& weight) {
  const checkpoint::StackPart* part = checkpoint.PartOf(weight.main);
  return part != nullptr && part->transposed;
}

bool IsEmpty(const LogicalWeight& weight) { return weight.rows() * ColumnsPerRow(weight) == 0; }

// Whether ReadScales has read all of a module's tensor.
bool IsKnownScalar(const Subject& subject, const Module& module, size_t tensor) {
  const bool is_scale = tensor == module.global_scale || tensor == module.input_scale;
  return is_scale && IsScalar(subject.Info(tensor));
}

}  // namespace

StreamPlan::StreamPlan(const Subject& subject, const Comparison* comparison)
    : subject_(subject), comparison_(comparison) {
  if (comparison_ == nullptr) return;
  std::map<std::pair<bool, Slab>, size_t> slabs;
  for (size_t module = 0; module < subject_.index.modules.size(); ++module) {
    const auto pairs = comparison_->pairs.find(module);
    if (pairs == comparison_->pairs.end()) continue;
    for (const WeightPair& pair : pairs->second) {
      AddCompared({module, &comparison_->layout.weights[pair.own],
                   &comparison_->source_layout.weights[pair.source]},
                  slabs);
    }
  }
}

// `slabs`: what is compared in an expert's slab of the source (true) or of the checkpoint.
void StreamPlan::AddCompared(ComparedWeight weight,
                             std::map<std::pair<bool, Slab>, size_t>& slabs) {
  const std::optional<Slab> source = SlabOf(Source(), weight.source->main);
  const std::optional<Slab> slab = source ? source : SlabOf(Own(), weight.own->main);
  if (slab) {
    const auto [found, is_new] = slabs.try_emplace({source.has_value(), *slab}, compared_.size());
    Together* others = is_new ? nullptr : &compared_[found->second];
    if (others != nullptr && others->front().own->rows() == weight.own->rows()) {
      return others->push_back(weight);
    }
  }
  compared_of_[weight.module].push_back(compared_.size());
  compared_.push_back({weight});
}

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
    AddRows(index, &left, stretches);
  } else if (BlocksAgree(subject_, module)) {
    constexpr uint64_t kBlocks = kStreamJobBytes / (kNibbleBytesPerScale + 1);
    const size_t scales = BlockScalesOf(subject_, module);
    const uint64_t blocks = subject_.Info(scales).Bytes();
    const uint64_t unit =
        std::lcm(CeilDivide(CarriedUnit(module.weight), kNibbleBytesPerScale), CarriedUnit(scales));
    stretches->push_back({{StreamJobKind::kBlocks, index, kAbsent, 0, blocks},
                          WholeUnits(kBlocks, unit),
                          std::min(module.weight, scales)});
    take(module.weight);
    take(scales);
  }
  for (const size_t tensor : left) {
    if (CarriedFrom(tensor) == kAbsent && IsKnownScalar(subject_, module, tensor)) continue;
    const uint64_t bytes = subject_.Info(tensor).Bytes();
    stretches->push_back({{StreamJobKind::kBytes, index, tensor, 0, bytes},
                          WholeUnits(kStreamJobBytes, CarriedUnit(tensor)),
                          tensor});
  }
}

// The jobs that begin with a weight of the module, and what all jobs with weights of it read.
void StreamPlan::AddRows(size_t module, std::vector<size_t>* left,
                         std::vector<Stretch>* stretches) const {
  std::erase(*left, subject_.index.modules[module].weight);
  for (const WeightPair& pair : comparison_->pairs.at(module)) {
    std::erase(*left, comparison_->layout.weights[pair.own].scale);
  }
  const auto compared = compared_of_.find(module);
  if (compared == compared_of_.end()) return;
  for (const size_t index : compared->second) stretches->push_back(RowStretch(index));
}

StreamPlan::Stretch StreamPlan::RowStretch(size_t compared) const {
  const Together& together = compared_[compared];
  const LogicalWeight& first = *together.front().own;
  const auto bytes_of = [&](int64_t rows) {
    uint64_t bytes = 0;
    for (const ComparedWeight& weight : together) {
      bytes += RowBytes(Own(), *weight.own, rows) + RowBytes(Source(), *weight.source, rows);
    }
    return std::max<uint64_t>(1, bytes);
  };
  int64_t quantum = 1;
  bool at_once = false;
  for (const auto& [module, own, source] : together) {
    quantum = std::lcm(quantum, std::lcm(RowQuantum(*own), RowQuantum(*source)));
    at_once |= IsTransposed(Own(), *own) || IsTransposed(Source(), *source);
  }
  quantum = std::min(quantum, first.rows());
  if (quantum > 1 && bytes_of(quantum) > kLargestQuantum) quantum = 1;
  const uint64_t quanta =
      quantum == 0 ? 1 : std::max<uint64_t>(1, kStreamJobBytes / bytes_of(quantum));
  const auto rows = static_cast<uint64_t>(first.rows());
  const checkpoint::StackPart* part = Own().PartOf(first.main);
  return {.whole = {.kind = StreamJobKind::kRows,
                    .module = together.front().module,
                    .end = IsEmpty(first) ? 1 : rows,
                    .compared = compared},
          .step = at_once ? std::max<uint64_t>(1, rows)
                          : quanta * static_cast<uint64_t>(std::max<int64_t>(1, quantum)),
          .tensor = part == nullptr ? first.main : part->stored};
}

// What pieces of a tensor that is carried are multiples of, in bytes.
uint64_t StreamPlan::CarriedUnit(size_t tensor) const {
  const size_t source = CarriedFrom(tensor);
  return source == kAbsent ? 1 : Source().ReadUnit(source);
}

RowReads StreamPlan::OwnRows(const StreamJob& job) const {
  std::vector<const LogicalWeight*> weights;
  for (const ComparedWeight& weight : Compared(job)) weights.push_back(weight.own);
  const bool empty = IsEmpty(*weights.front());
  return {Own(), std::move(weights), static_cast<int64_t>(job.begin),
          empty ? 0 : static_cast<int64_t>(job.end - job.begin), 0};
}

RowReads StreamPlan::SourceRows(const StreamJob& job) const {
  std::vector<const LogicalWeight*> weights;
  for (const ComparedWeight& weight : Compared(job)) weights.push_back(weight.source);
  const bool empty = IsEmpty(*weights.front());
  return {Source(), std::move(weights), static_cast<int64_t>(job.begin),
          empty ? 0 : static_cast<int64_t>(job.end - job.begin), FirstSourceFile()};
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
  const checkpoint::StoredRange range = Source().FileRangeOf(tensor, begin, end);
  return {FirstSourceFile() + Source().tensor(tensor).shard, range.begin, range.end};
}

std::vector<size_t> StreamPlan::Tensors(const StreamJob& job) const {
  if (job.kind == StreamJobKind::kBytes) return {job.tensor};
  const Module& module = subject_.index.modules[job.module];
  return {module.weight, BlockScalesOf(subject_, module)};
}

checkpoint::ByteRange StreamPlan::Bytes(const StreamJob& job, size_t tensor) const {
  const bool nibbles =
      job.kind == StreamJobKind::kBlocks && tensor == subject_.index.modules[job.module].weight;
  const uint64_t bytes = nibbles ? kNibbleBytesPerScale : 1;
  return {job.begin * bytes, job.end * bytes};
}

std::vector<size_t> StreamPlan::Modules(const StreamJob& job) const {
  if (job.kind != StreamJobKind::kRows) return {job.module};
  std::vector<size_t> modules;
  for (const ComparedWeight& weight : Compared(job)) modules.push_back(weight.module);
  return modules;
}

size_t StreamPlan::CarriedFrom(size_t tensor) const {
  return comparison_ == nullptr ? kAbsent : comparison_->carried_from[tensor];
}

ReadAhead::Job StreamPlan::Reads(const StreamJob& job) const {
  ReadAhead::Job reads;
  if (job.kind == StreamJobKind::kRows) {
    const RowReads own = OwnRows(job), source = SourceRows(job);
    reads.assign(own.ranges().begin(), own.ranges().end());
    reads.insert(reads.end(), source.ranges().begin(), source.ranges().end());
    return reads;
  }
  for (const size_t tensor : Tensors(job)) {
    const checkpoint::ByteRange bytes = Bytes(job, tensor);
    reads.push_back(OwnRange(tensor, bytes.begin, bytes.end));
    const size_t source = CarriedFrom(tensor);
    if (source != kAbsent) reads.push_back(SourceRange(source, bytes.begin, bytes.end));
  }
  return reads;
}

}  // namespace vernier::audit

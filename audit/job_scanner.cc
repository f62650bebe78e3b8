#include "audit/job_scanner.h"

#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <cstring>

#include "audit/byte_scan.h"
#include "audit/scale_sample.h"
#include "audit/weight_comparison.h"
#include "base/error.h"
#include "base/hand_over.h"
#include "checkpoint/scattered_bytes.h"

namespace vernier::audit {
namespace {

using checkpoint::ByteRange;
using checkpoint::LogicalWeight;
using checkpoint::RawRows;

bool SameBytes(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

}  // namespace

// Rows of one of the weights that a job compares.
struct JobScanner::RowPiece {
  size_t weight = 0;
  int64_t row = 0;
  int64_t rows = 0;
  ModuleFacts facts = {};
};

JobFacts JobScanner::Scan(const ReadJob& read) const {
  JobFacts result{.job = read.job};
  for (const ReadBlock& block : read.blocks) result.bytes += block.bytes().size();
  if (read.job->kind == StreamJobKind::kRows) {
    ScanRows(read, &result);
  } else {
    ScanTensors(read, &result.modules.emplace_back(read.job->module, ModuleFacts()).second);
  }
  return result;
}

// Rows that lie scattered are copied, a piece at a time on each thread.
void JobScanner::ScanRows(const ReadJob& read, JobFacts* result) const {
  std::vector<RowPiece> pieces = PiecesOf(*read.job);
  const RowReads own = plan_.OwnRows(*read.job), source = plan_.SourceRows(*read.job);
  HandOver();
  oneapi::tbb::parallel_for(size_t{0}, pieces.size(), [&](size_t i) {
    TakeOver();
    ScanPiece(read, own, source, &pieces[i]);
    HandOver();
  });
  TakeOver();
  for (RowPiece& piece : pieces) {
    const size_t module = plan_.Compared(*read.job)[piece.weight].module;
    result->modules.emplace_back(module, std::move(piece.facts));
  }
}

// In the order of weights and rows.
std::vector<JobScanner::RowPiece> JobScanner::PiecesOf(const StreamJob& job) const {
  const auto compared = plan_.Compared(job);
  std::vector<RowPiece> pieces;
  for (size_t i = 0; i < compared.size(); ++i) {
    const auto end = static_cast<int64_t>(job.end);
    const int64_t step = RowsAtOnce(job, compared[i]);
    for (auto row = static_cast<int64_t>(job.begin); row < end; row += step) {
      pieces.push_back({.weight = i, .row = row, .rows = std::min(step, end - row)});
    }
  }
  return pieces;
}

int64_t JobScanner::RowsAtOnce(const StreamJob& job, const ComparedWeight& weight) const {
  const bool scattered = LiesScattered(plan_.Own(), weight.own->main) ||
                         LiesScattered(plan_.Source(), weight.source->main);
  if (!scattered) return static_cast<int64_t>(job.end - job.begin);
  const uint64_t row_bytes = MainRange(plan_.Own(), *weight.own, 0, 1).size() +
                             MainRange(plan_.Source(), *weight.source, 0, 1).size();
  return static_cast<int64_t>(
      std::max<uint64_t>(1, kStreamJobBytes / std::max<uint64_t>(1, row_bytes)));
}

void JobScanner::ScanPiece(const ReadJob& read, const RowReads& own_reads,
                           const RowReads& source_reads, RowPiece* piece) const {
  const ComparedWeight& weight = plan_.Compared(*read.job)[piece->weight];
  const std::span blocks(read.blocks);
  const size_t own_blocks = own_reads.ranges().size();
  RowReads::Gathered own_bytes, source_bytes;
  RawRows own =
      own_reads.Take(piece->weight, piece->row, piece->rows, blocks.first(own_blocks), own_bytes);
  own.global_scale = GlobalScale(weight);
  ScanWeight(weight.module, own.main, own.scale.subspan(SharedScaleBytes(*weight.own, own)),
             &piece->facts);
  piece->facts.source = Compare(weight, own,
                                source_reads.Take(piece->weight, piece->row, piece->rows,
                                                  blocks.subspan(own_blocks), source_bytes));
}

// The scales that the rows before these have, too: these count them.
size_t JobScanner::SharedScaleBytes(const LogicalWeight& weight, const RawRows& rows) const {
  if (rows.scale.empty() || rows.row_begin % weight.block_rows == 0) return 0;
  return ScaleRange(plan_.Own(), weight, rows.row_begin, 1).size();
}

SourceFacts JobScanner::Compare(const ComparedWeight& weight, const RawRows& own,
                                RawRows source) const {
  try {
    source.global_scale = ReadGlobalScale(plan_.Source(), *weight.source);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kBadWeightValue) throw;
    return {.failure = error.what()};
  }
  return CompareRows({plan_.Own(), *weight.own, own}, {plan_.Source(), *weight.source, source},
                     plan_.comparison()->RescalingOf(weight.own->module));
}

float JobScanner::GlobalScale(const ComparedWeight& weight) const {
  const float stored = scalars_[weight.module].global_scale.value_or(1.0f);
  return weight.own->global_scale_is_divisor ? 1.0f / stored : stored;
}

// What was read of the source for a carried tensor; where it lies scattered, a piece at a time.
bool JobScanner::EqualsSource(const StreamJob& job, size_t tensor, std::span<const std::byte> own,
                              std::span<const std::byte> read) const {
  const size_t source = plan_.CarriedFrom(tensor);
  if (!LiesScattered(plan_.Source(), source)) return SameBytes(own, read);
  const ByteRange all = plan_.Bytes(job, tensor);
  const checkpoint::ShardBytes shard = {
      plan_.Source().FileRangeOf(source, all.begin, all.end).begin, read};
  const uint64_t step = WholeUnits(kStreamJobBytes, plan_.Source().PartOf(source)->row_bytes());
  std::vector<std::byte> gathered;
  for (uint64_t begin = all.begin; begin < all.end; begin += step) {
    const ByteRange piece = {begin, std::min(all.end, begin + step)};
    const auto expected = ExtractBytes(plan_.Source(), source, piece, shard, gathered);
    if (!SameBytes(own.subspan(begin - all.begin, piece.size()), expected)) return false;
  }
  return true;
}

// A weight with the scales that belong to it.
void JobScanner::ScanWeight(size_t index, std::span<const std::byte> main,
                            std::span<const std::byte> scale, ModuleFacts* facts) const {
  const Subject& subject = plan_.subject();
  const Module& module = ModuleOf(index);
  facts->not_finite = CountNotFinite(subject.Info(module.weight).dtype, main);
  if (scale.empty()) return;
  facts->scales = BlocksAgree(subject, module) ? ScanBlocks(scale, main)
                                               : ScanModuleScales(subject, module, scale);
}

void JobScanner::ScanTensors(const ReadJob& read, ModuleFacts* facts) const {
  const StreamJob& job = *read.job;
  const std::vector<size_t> tensors = plan_.Tensors(job);
  std::vector<std::span<const std::byte>> bytes;
  for (size_t block = 0; const size_t tensor : tensors) {
    const size_t range = block++;
    bytes.push_back(read.blocks[range].bytes());
    if (plan_.CarriedFrom(tensor) == kAbsent) continue;
    const auto source = read.blocks[block++].bytes();
    if (!EqualsSource(job, tensor, bytes.back(), source)) facts->changed.insert(tensor);
  }
  if (job.kind == StreamJobKind::kBlocks) return ScanWeight(job.module, bytes[0], bytes[1], facts);
  const Module& module = ModuleOf(job.module);
  if (job.tensor == module.weight) {
    ScanWeight(job.module, bytes[0], {}, facts);
  } else if (job.tensor == BlockScalesOf(plan_.subject(), module)) {
    facts->scales = ScanModuleScales(plan_.subject(), module, bytes[0]);
  }
}

}  // namespace vernier::audit

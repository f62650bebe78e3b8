// All bytes of a checkpoint, and of what it is compared with, as jobs of bounded size.
#ifndef VERNIER_AUDIT_STREAM_PLAN_H_
#define VERNIER_AUDIT_STREAM_PLAN_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "audit/comparison.h"
#include "audit/row_reads.h"
#include "audit/subject.h"
#include "base/read_ahead.h"

namespace vernier::audit {

enum class StreamJobKind {
  kBytes,   // bytes of one tensor
  kBlocks,  // NVFP4 blocks: scales and the nibbles below them
  kRows,    // rows of a converted weight and of its source
};

struct StreamJob {
  StreamJobKind kind = StreamJobKind::kBytes;
  size_t module = 0;        // of kRows: the first of those it is about
  size_t tensor = kAbsent;  // of kBytes
  uint64_t begin = 0;       // bytes of the tensor, blocks, or rows
  uint64_t end = 0;
  size_t compared = kAbsent;  // of kRows: index for StreamPlan::Compared
};

// A weight whose rows are compared, and the module whose facts that makes.
struct ComparedWeight {
  size_t module = 0;
  const checkpoint::LogicalWeight* own = nullptr;
  const checkpoint::LogicalWeight* source = nullptr;
};

// About what a job reads; more where a single row is larger, and where a stack of experts is
// transposed: then each row needs all of its expert's slab.
inline constexpr uint64_t kStreamJobBytes = uint64_t{4} << 20;

// The multiple of `unit` that is nearest below `size`, at least one unit.
inline uint64_t WholeUnits(uint64_t size, uint64_t unit) {
  return std::max(unit, size / unit * unit);
}

// Which jobs there are, and what each of them reads. Together the jobs of a module read every byte
// of it, and of the source's tensors that are compared with it, once. Rows of weights that lie
// among each other are compared in one job, which reads them once. Twice read are a scale of a
// whole FP8 tensor, FP8 block scales where so many rows share one that they do not fit a job, and
// what lies scattered in the source and is carried.
// Scalars that ReadScales has read are left out unless they are carried. Refers to its arguments.
class StreamPlan {
 public:
  // `comparison` may be null.
  StreamPlan(const Subject& subject, const Comparison* comparison);

  // Of all modules, in the order of shards and places in them; a module's jobs are in the order of
  // its weight's rows, or its experts'.
  std::vector<StreamJob> Jobs() const;

  // The shards of the checkpoint, then those of the source.
  std::vector<std::filesystem::path> Files() const;

  // Of kRows OwnRows' ranges, then SourceRows'; of kBlocks nibbles and scales; of kBytes the bytes.
  // Of the latter two, what is carried is followed by the same of the source, tensor by tensor in
  // that order.
  ReadAhead::Job Reads(const StreamJob& job) const;

  // Of kRows.
  std::span<const ComparedWeight> Compared(const StreamJob& job) const {
    return compared_[job.compared];
  }
  RowReads OwnRows(const StreamJob& job) const;
  RowReads SourceRows(const StreamJob& job) const;

  // Whose facts it makes: of kRows for each weight in Compared, otherwise one.
  std::vector<size_t> Modules(const StreamJob& job) const;
  // The tensors that kBlocks and kBytes read: one or two.
  std::vector<size_t> Tensors(const StreamJob& job) const;
  // What it reads of one of them.
  checkpoint::ByteRange Bytes(const StreamJob& job, size_t tensor) const;
  // The source's tensor that must equal one of them, kAbsent where none must.
  size_t CarriedFrom(size_t tensor) const;

  const Subject& subject() const { return subject_; }
  const Comparison* comparison() const { return comparison_; }
  // What weights are compared in.
  const checkpoint::Checkpoint& Own() const { return comparison_->Own(subject_); }
  const checkpoint::Checkpoint& Source() const { return comparison_->source.checkpoint; }

 private:
  // A tensor or a module's tensors, to be cut into jobs.
  struct Stretch {
    StreamJob whole;
    uint64_t step = 1;  // of whole.begin to whole.end
    size_t tensor = 0;  // the first that is read
  };
  using Together = std::vector<ComparedWeight>;

  void AddCompared(ComparedWeight weight, std::map<std::pair<bool, Slab>, size_t>& slabs);
  void AddModule(size_t module, std::vector<Stretch>* stretches) const;
  void AddRows(size_t module, std::vector<size_t>* left, std::vector<Stretch>* stretches) const;
  Stretch RowStretch(size_t compared) const;
  uint64_t CarriedUnit(size_t tensor) const;
  size_t FirstSourceFile() const;
  FileRange OwnRange(size_t tensor, uint64_t begin, uint64_t end) const;
  FileRange SourceRange(size_t tensor, uint64_t begin, uint64_t end) const;

  const Subject& subject_;
  const Comparison* comparison_;
  std::vector<Together> compared_;
  std::map<size_t, std::vector<size_t>> compared_of_;  // by module: where it is the first
};

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_STREAM_PLAN_H_

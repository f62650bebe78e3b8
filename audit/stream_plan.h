// All bytes of a checkpoint, and of what it is compared with, as jobs of bounded size.
#ifndef VERNIER_AUDIT_STREAM_PLAN_H_
#define VERNIER_AUDIT_STREAM_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "audit/comparison.h"
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
  size_t module = 0;
  size_t tensor = kAbsent;  // of kBytes
  uint64_t begin = 0;       // bytes of the tensor, blocks, or rows
  uint64_t end = 0;
};

// About what a job reads; more where a single row is larger.
inline constexpr uint64_t kStreamJobBytes = uint64_t{4} << 20;

// Which jobs there are, and what each of them reads. Together the jobs of a module read every byte
// of it, and of the source's tensors that are compared with it, once. Twice read are a scale of a
// whole FP8 tensor, and FP8 block scales where so many rows share one that they do not fit a job.
// Scalars that ReadScales has
// read are left out unless they are carried. Refers to its arguments.
class StreamPlan {
 public:
  // `comparison` may be null.
  StreamPlan(const Subject& subject, const Comparison* comparison)
      : subject_(subject), comparison_(comparison) {}

  // Of all modules, in the order of shards and places in them; a module's jobs are in the order of
  // its weight's rows.
  std::vector<StreamJob> Jobs() const;

  // The shards of the checkpoint, then those of the source.
  std::vector<std::filesystem::path> Files() const;

  // Of kRows the weight's rows, their block scales, and the same of the source (some may be empty);
  // of kBlocks nibbles and scales; of kBytes the bytes. Of the latter two, what is carried is
  // followed by the same of the source, tensor by tensor in that order.
  ReadAhead::Job Reads(const StreamJob& job) const;

  // The tensors that kBlocks and kBytes read: one or two.
  std::vector<size_t> Tensors(const StreamJob& job) const;
  // The source's tensor that must equal one of them, kAbsent where none must.
  size_t CarriedFrom(size_t tensor) const;

  const Subject& subject() const { return subject_; }
  const Comparison* comparison() const { return comparison_; }
  const checkpoint::LogicalWeight& OwnWeight(const StreamJob& job) const;
  const checkpoint::LogicalWeight& SourceWeight(const StreamJob& job) const;

 private:
  // A tensor or a module's tensors, to be cut into jobs.
  struct Stretch {
    StreamJob whole;
    uint64_t step = 1;  // of whole.begin to whole.end
    size_t tensor = 0;  // the first that is read
  };

  void AddModule(size_t module, std::vector<Stretch>* stretches) const;
  Stretch RowStretch(size_t module) const;
  size_t FirstSourceFile() const;
  FileRange OwnRange(size_t tensor, uint64_t begin, uint64_t end) const;
  FileRange SourceRange(size_t tensor, uint64_t begin, uint64_t end) const;
  ReadAhead::Job RowReads(const StreamJob& job) const;

  const Subject& subject_;
  const Comparison* comparison_;
};

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_STREAM_PLAN_H_

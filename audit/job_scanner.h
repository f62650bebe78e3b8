// What the bytes of one job say.
#ifndef VERNIER_AUDIT_JOB_SCANNER_H_
#define VERNIER_AUDIT_JOB_SCANNER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "audit/module_facts.h"
#include "audit/scale_readings.h"
#include "audit/stream_plan.h"
#include "base/read_ahead.h"

namespace vernier::audit {

struct ReadJob {
  const StreamJob* job = nullptr;
  std::vector<ReadBlock> blocks;  // of StreamPlan::Reads
};

struct JobFacts {
  const StreamJob* job = nullptr;
  uint64_t bytes = 0;  // that were read
  // By index of the module, to be merged in this order: a module may have several.
  std::vector<std::pair<size_t, ModuleFacts>> modules = {};
};

// Thread-safe. Refers to its arguments.
class JobScanner {
 public:
  // `scalars` are by module.
  JobScanner(const StreamPlan& plan, std::span<const ModuleScalars> scalars)
      : plan_(plan), scalars_(scalars) {}

  // kFileRead for a global scale that cannot be read.
  JobFacts Scan(const ReadJob& read) const;

 private:
  struct RowPiece;

  const Module& ModuleOf(size_t module) const { return plan_.subject().index.modules[module]; }
  void ScanRows(const ReadJob& read, JobFacts* result) const;
  std::vector<RowPiece> PiecesOf(const StreamJob& job) const;
  int64_t RowsAtOnce(const StreamJob& job, const ComparedWeight& weight) const;
  void ScanPiece(const ReadJob& read, const RowReads& own_reads, const RowReads& source_reads,
                 RowPiece* piece) const;
  size_t SharedScaleBytes(const checkpoint::LogicalWeight& weight,
                          const checkpoint::RawRows& rows) const;
  SourceFacts Compare(const ComparedWeight& weight, const checkpoint::RawRows& own,
                      checkpoint::RawRows source) const;
  float GlobalScale(const ComparedWeight& weight) const;
  void ScanTensors(const ReadJob& read, ModuleFacts* facts) const;
  bool EqualsSource(const StreamJob& job, size_t tensor, std::span<const std::byte> own,
                    std::span<const std::byte> read) const;
  void ScanWeight(size_t index, std::span<const std::byte> main, std::span<const std::byte> scale,
                  ModuleFacts* facts) const;

  const StreamPlan& plan_;
  std::span<const ModuleScalars> scalars_;
};

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_JOB_SCANNER_H_

// The audit of a checkpoint directory.
#ifndef VERNIER_AUDIT_VALIDATE_H_
#define VERNIER_AUDIT_VALIDATE_H_

#include <cstdint>
#include <filesystem>

#include "audit/read_meter.h"
#include "audit/report.h"

namespace vernier::audit {

inline constexpr uint64_t kDefaultWindowBytes = uint64_t{64} << 20;

struct AuditOptions {
  std::filesystem::path directory;
  // The checkpoint that `directory` was made from; empty: no comparison.
  std::filesystem::path source = {};
  // A source or a journal implies kFull.
  AuditDepth depth = AuditDepth::kScales;
  // Findings that concern none of these are left out.
  EnginesAsked engines = {};
  // Weights that cannot be cut for so many devices are errors.
  int tensor_parallel = 1;
  // What is finished of a full audit is remembered in this file, and not done again by the next
  // audit of the same checkpoints; empty: nothing is remembered.
  std::filesystem::path journal = {};
  // What a full audit reads ahead of its use, in bytes.
  uint64_t window_bytes = kDefaultWindowBytes;
  ReadCallback on_read = {};
};

// Applies every rule; those about a model's layers and experts only to a model_type that is known,
// those of a format to weights in it. A defect of the checkpoint is a finding, never an exception.
// Memory: headers, and a few MiB per core. Throws what prevents looking: kNoCheckpoint, kFileOpen,
// kFileRead; and any error of opening `source`.
AuditReport Validate(const AuditOptions& options);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_VALIDATE_H_

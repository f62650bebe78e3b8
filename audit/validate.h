// The audit of a checkpoint directory.
#ifndef VERNIER_AUDIT_VALIDATE_H_
#define VERNIER_AUDIT_VALIDATE_H_

#include <filesystem>

#include "audit/read_meter.h"
#include "audit/report.h"

namespace vernier::audit {

struct AuditOptions {
  std::filesystem::path directory;
  // The checkpoint that `directory` was made from; empty: no comparison.
  std::filesystem::path source = {};
  // Also look for NaN in every tensor. Without this and without a source, headers and scales are
  // all that is read.
  bool full = false;
  ReadCallback on_read = {};
};

// Applies every rule; those about a model's layers and experts only to a model_type that is known,
// those of a format to weights in it. A defect of the checkpoint is a finding, never an exception.
// Memory: headers, and a few MiB per core. Throws what prevents looking: kNoCheckpoint, kFileOpen,
// kFileRead; and any error of opening `source`.
AuditReport Validate(const AuditOptions& options);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_VALIDATE_H_

// The audit that a run ended with, kept in its run directory for reports.
#ifndef VERNIER_REPORT_AUDIT_RECORD_H_
#define VERNIER_REPORT_AUDIT_RECORD_H_

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace vernier::report {

inline constexpr std::string_view kAuditFileName = "audit.json";

struct AuditRecord {
  std::string plan_hash;         // of the export that was audited
  std::filesystem::path output;  // what was audited
  std::filesystem::path source;  // what it was compared with; empty: nothing
  std::string output_state;      // OutputState of `output` at that time
  Json audit;                    // audit::ReportJson
};

// Hash over the names and sizes of the checkpoint files in `directory` (*.json and those of
// containers, not below it) and over the content of vernier_manifest.json, which names every output
// file's hash, and of config.json. Reads no weights. A directory that is not there is like an empty
// one. Errors: kFileOpen, kFileRead.
std::string OutputState(const std::filesystem::path& directory);

// Writes `run_dir`/audit.json, all or nothing. Errors: kFileOpen, kFileWrite, kNoSpace.
void SaveAudit(const std::filesystem::path& run_dir, const AuditRecord& record);

// Nothing when there is none, or one of another version. Errors: kFileRead, kBadJson.
std::optional<AuditRecord> LoadAudit(const std::filesystem::path& run_dir);

}  // namespace vernier::report

#endif  // VERNIER_REPORT_AUDIT_RECORD_H_

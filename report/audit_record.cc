#include "report/audit_record.h"

#include <algorithm>
#include <vector>

#include "base/file.h"
#include "base/hash.h"
#include "checkpoint/containers/registry.h"

namespace vernier::report {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormat = "vernier.audit";
constexpr int kVersion = 1;

bool IsHashedWhole(const std::string& name) {
  return name == "vernier_manifest.json" || name == "config.json";
}

bool HoldsTensors(const fs::path& extension) {
  return std::ranges::any_of(
      checkpoint::AllContainers(),
      [&](const checkpoint::Container* container) { return extension == container->extension(); });
}

// Sorted by name.
std::vector<fs::path> CheckpointFiles(const fs::path& directory) {
  std::error_code error;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const fs::path extension = entry.path().extension();
    if (extension != ".json" && !HoldsTensors(extension)) continue;
    if (entry.is_regular_file(error)) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace

std::string OutputState(const fs::path& directory) {
  Hasher hasher;
  for (const fs::path& file : CheckpointFiles(directory)) {
    const std::string name = file.filename().string();
    hasher.Update(name);
    hasher.Update("\n" + std::to_string(fs::file_size(file)) + "\n");
    if (IsHashedWhole(name)) hasher.Update(ReadWholeFile(file));
  }
  return hasher.Hex();
}

void SaveAudit(const fs::path& run_dir, const AuditRecord& record) {
  const Json json = {{"format", kFormat},
                     {"version", kVersion},
                     {"plan_hash", record.plan_hash},
                     {"output", record.output.string()},
                     {"source", record.source.string()},
                     {"output_state", record.output_state},
                     {"audit", record.audit}};
  WriteFileAtomically(run_dir / kAuditFileName,
                      json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

std::optional<AuditRecord> LoadAudit(const fs::path& run_dir) {
  const fs::path path = run_dir / kAuditFileName;
  if (!fs::is_regular_file(path)) return std::nullopt;
  const std::string origin = path.string();
  const Json json = ReadJsonFile(path);
  if (GetFieldOr<int>(json, "version", origin, 0) != kVersion) return std::nullopt;
  return AuditRecord{.plan_hash = GetField<std::string>(json, "plan_hash", origin),
                     .output = GetField<std::string>(json, "output", origin),
                     .source = GetField<std::string>(json, "source", origin),
                     .output_state = GetField<std::string>(json, "output_state", origin),
                     .audit = GetField<Json>(json, "audit", origin)};
}

}  // namespace vernier::report

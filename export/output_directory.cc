#include "export/output_directory.h"

#include <fmt/format.h>

#include <span>

#include "base/error.h"
#include "base/file.h"

namespace vernier::exporter {
namespace {

bool StartsWith(const std::filesystem::path& path, const std::string& opening) {
  if (!std::filesystem::is_regular_file(path)) return false;
  const File file = File::OpenForRead(path);
  if (file.Size() < opening.size()) return false;
  std::string head(opening.size(), '\0');
  file.ReadAt(0, std::as_writable_bytes(std::span(head)));
  return head == opening;
}

bool IsEmptyDirectory(const std::filesystem::path& output) {
  if (!std::filesystem::is_directory(output)) {
    throw Error(ErrorCode::kOutputExists, output.string(), "it exists and is not a directory",
                "Choose another output directory");
  }
  return std::filesystem::is_empty(output);
}

}  // namespace

std::string ManifestOpening(std::string_view plan_hash) {
  return fmt::format("{{\n\"plan_hash\": \"{}\"", plan_hash);
}

void ClaimOutputDirectory(const std::filesystem::path& output, const std::string& plan_hash,
                          bool has_records) {
  const std::filesystem::path manifest = output / kManifestFileName;
  const std::string opening = ManifestOpening(plan_hash);
  if (std::filesystem::exists(output) && !IsEmptyDirectory(output)) {
    if (StartsWith(manifest, opening) || StartsWith(PartialPath(manifest), opening)) return;
    if (!has_records) {
      throw Error(ErrorCode::kOutputExists, output.string(),
                  "it is not empty, and not an export of this source, recipe and calibration",
                  "Choose another output directory, or empty this one");
    }
  }
  CreateDirectories(output);
  const File claim = File::OpenForWrite(PartialPath(manifest), /*truncate=*/true);
  claim.WriteAt(0, std::as_bytes(std::span(opening)));
  claim.Sync();
}

}  // namespace vernier::exporter

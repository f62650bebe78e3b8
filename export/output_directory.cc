#include "export/output_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace vernier::exporter {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOpening = "{\n\"plan_hash\": \"";

bool StartsWith(const fs::path& path, const std::string& opening) {
  if (!fs::is_regular_file(path)) return false;
  const File file = File::OpenForRead(path);
  if (file.Size() < opening.size()) return false;
  std::string head(opening.size(), '\0');
  file.ReadAt(0, std::as_writable_bytes(std::span(head)));
  return head == opening;
}

bool IsPartial(const fs::path& path) {
  return fs::is_regular_file(path) && PartialPath(path.parent_path() / path.stem()) == path;
}

// Whether a plan was begun here, and none of its files was finished. The mark itself may be empty:
// the process may have ended between creating and writing it.
bool IsAbandoned(const fs::path& output) {
  const fs::path mark = PartialPath(output / kManifestFileName);
  if (!fs::is_regular_file(mark)) return false;
  if (fs::file_size(mark) > 0 && !StartsWith(mark, std::string(kOpening))) return false;
  return std::ranges::all_of(fs::directory_iterator(output),
                             [](const fs::directory_entry& entry) { return IsPartial(entry); });
}

void RemoveFiles(const fs::path& directory) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    files.push_back(entry.path());
  }
  for (const fs::path& file : files) {
    std::error_code error;
    fs::remove(file, error);
    if (error) ThrowWriteError(file, error.value());
  }
}

}  // namespace

std::string ManifestOpening(std::string_view plan_hash) {
  return fmt::format("{}{}\"", kOpening, plan_hash);
}

void RequireOutsideSource(const fs::path& output, const fs::path& source) {
  const fs::path inner = fs::weakly_canonical(fs::absolute(output));
  const fs::path outer = fs::weakly_canonical(fs::absolute(source));
  const auto [end, ignored] = std::ranges::mismatch(outer, inner);
  if (end != outer.end()) return;
  throw Error(ErrorCode::kOutputExists, output.string(),
              inner == outer ? "it is the source" : "it lies inside the source",
              "Choose a directory outside the source");
}

void CreateOutputDirectory(const fs::path& output, const fs::path& source) {
  RequireOutsideSource(output, source);
  if (fs::exists(output) && !fs::is_directory(output)) {
    throw Error(ErrorCode::kOutputExists, output.string(), "it exists and is not a directory",
                "Choose another output directory");
  }
  CreateDirectories(output);
}

void ClaimOutputDirectory(const fs::path& output, const std::string& plan_hash) {
  const fs::path manifest = output / kManifestFileName;
  const std::string opening = ManifestOpening(plan_hash);
  if (StartsWith(manifest, opening) || StartsWith(PartialPath(manifest), opening)) return;
  if (IsAbandoned(output)) RemoveFiles(output);
  if (!fs::is_empty(output)) {
    throw Error(ErrorCode::kOutputExists, output.string(),
                "it is not empty, and not an export of this source, recipe and calibration",
                "Choose another output directory, or empty this one");
  }
  const File claim = File::OpenForWrite(PartialPath(manifest), /*truncate=*/true);
  claim.WriteAt(0, std::as_bytes(std::span(opening)));
  claim.Sync();
  SyncDirectory(output);
}

}  // namespace vernier::exporter

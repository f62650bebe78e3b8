#include "export/copied_files.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "base/file.h"
#include "base/hash.h"
#include "checkpoint/checkpoint_files.h"
#include "checkpoint/containers/registry.h"
#include "export/output_directory.h"
#include "export/quant_config.h"
#include "export/stream_limits.h"

namespace vernier::exporter {
namespace {

namespace fs = std::filesystem;

using checkpoint::Container;

constexpr std::array<std::string_view, 4> kOwnFiles = {kConfigFileName, kHfQuantConfigFileName,
                                                       kManifestFileName, checkpoint::kModelCardFileName};

bool IsHidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

bool IsOther(const fs::directory_entry& entry, const Container& container) {
  const std::string name = entry.path().filename().string();
  if (!entry.is_regular_file() || IsHidden(entry.path())) return false;
  // What is not in the plan must not slip in beside it.
  return !checkpoint::IsWeightFile(name) && !name.ends_with(container.extension());
}

bool IsIndexOf(const Container& container, std::string_view name) {
  const std::vector<std::string_view> names = container.IndexFileNames();
  return std::ranges::find(names, name) != names.end();
}

// By a file of the output, of this name or another.
bool IsReplaced(std::string_view name, const Container& container) {
  return std::ranges::find(kOwnFiles, name) != kOwnFiles.end() || IsIndexOf(container, name) ||
         std::ranges::any_of(checkpoint::AllContainers(),
                             [&](const Container* other) { return IsIndexOf(*other, name); });
}

bool IsSubdirectory(const fs::directory_entry& entry) {
  return entry.is_directory() && !entry.is_symlink() && !IsHidden(entry.path());
}

OutputFile CopyFile(const fs::path& from, const fs::path& to, const std::string& name) {
  const File source = File::OpenForRead(from);
  const File copy = File::OpenForWrite(PartialPath(to), /*truncate=*/true);
  Hasher hasher;
  const uint64_t size = source.Size();
  std::vector<std::byte> chunk;
  for (uint64_t done = 0; done < size; done += chunk.size()) {
    chunk.resize(std::min(kChunkBytes, size - done));
    source.ReadAt(done, chunk);
    copy.WriteAt(done, chunk);
    hasher.Update(chunk);
  }
  PublishPartial(to);
  return {.name = name, .bytes = size, .hash = hasher.Hex()};
}

}  // namespace

std::vector<std::string> ListCopiedFiles(const fs::path& source, const Container& container) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(source)) {
    const std::string name = entry.path().filename().string();
    if (IsOther(entry, container) && !IsReplaced(name, container)) {
      names.push_back(name);
    }
    if (!IsSubdirectory(entry)) continue;
    for (const fs::directory_entry& inner : fs::directory_iterator(entry.path())) {
      if (IsOther(inner, container)) names.push_back(name + "/" + inner.path().filename().string());
    }
  }
  std::ranges::sort(names);
  return names;
}

uint64_t TotalFileBytes(const fs::path& source, const std::vector<std::string>& names) {
  uint64_t bytes = 0;
  for (const std::string& name : names) bytes += fs::file_size(source / name);
  return bytes;
}

std::vector<OutputFile> CopyFiles(const fs::path& source, const fs::path& output,
                                  const std::vector<std::string>& names) {
  std::vector<OutputFile> files;
  for (const std::string& name : names) {
    CreateDirectories((output / name).parent_path());
    files.push_back(CopyFile(source / name, output / name, name));
  }
  return files;
}

}  // namespace vernier::exporter

#include "datasets/document_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "base/file.h"

namespace vernier::datasets {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kScanBytes = uint64_t{1} << 20;

bool HasJsonName(const fs::path& path) {
  return path.extension() == ".jsonl" || path.extension() == ".json";
}

bool IsJson(const fs::path& path, SourceFormat format) {
  return format == SourceFormat::kAuto ? HasJsonName(path) : format == SourceFormat::kJsonl;
}

void ReadInto(const File& file, uint64_t offset, std::string& out) {
  file.ReadAt(offset, std::as_writable_bytes(std::span(out)));
}

std::vector<fs::path> FilesOfDirectory(const fs::path& directory) {
  std::error_code error;
  std::vector<fs::path> files;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const fs::path& path = it->path();
    std::error_code ignored;  // what cannot be looked at is reported when it is opened
    if (fs::is_directory(path, ignored)) continue;
    if (HasJsonName(path) || path.extension() == ".txt") files.push_back(path);
  }
  if (error) {
    throw Error(ErrorCode::kFileOpen, directory.string(), error.message(),
                "Check the path and the permissions");
  }
  if (files.empty()) {
    throw Error(ErrorCode::kBadDataset, directory.string(),
                "the directory holds no .jsonl, .json or .txt file",
                "Name a file, or a directory that holds some");
  }
  std::ranges::sort(files, {}, [](const fs::path& path) { return path.filename().native(); });
  return files;
}

}  // namespace

DocumentIndex DocumentIndex::Scan(const DataSource& source) {
  DocumentIndex index;
  std::error_code ignored;  // a path that cannot be looked at is reported when it is opened
  if (!fs::is_directory(source.path, ignored)) {
    index.AddFile(source.path, source.format);
    return index;
  }
  for (const fs::path& path : FilesOfDirectory(source.path)) index.AddFile(path, source.format);
  return index;
}

Document DocumentIndex::Read(size_t document) const {
  const Entry& entry = entries_.at(document);
  const SourceFile& file = files_[entry.file];
  Document result{std::string(entry.bytes, '\0'), file.path.string(), file.is_json};
  if (file.is_json) result.origin += fmt::format(":{}", entry.line);
  ReadInto(File::OpenForRead(file.path), entry.offset, result.content);
  return result;
}

void DocumentIndex::AddFile(const fs::path& path, SourceFormat format) {
  files_.push_back({path, IsJson(path, format)});
  if (files_.back().is_json) {
    AddLines(path);
  } else {
    AddLine(1, 0, File::OpenForRead(path).Size());
  }
}

void DocumentIndex::AddLines(const fs::path& path) {
  const File file = File::OpenForRead(path);
  const uint64_t size = file.Size();
  std::string chunk;
  uint64_t line = 1, begin = 0;
  for (uint64_t offset = 0; offset < size; offset += chunk.size()) {
    chunk.resize(std::min(kScanBytes, size - offset));
    ReadInto(file, offset, chunk);
    for (size_t at = chunk.find('\n'); at != std::string::npos; at = chunk.find('\n', at + 1)) {
      AddLine(line++, begin, offset + at);
      begin = offset + at + 1;
    }
  }
  AddLine(line, begin, size);
}

void DocumentIndex::AddLine(uint64_t line, uint64_t begin, uint64_t end) {
  if (begin == end) return;
  entries_.push_back({files_.size() - 1, line, begin, end - begin});
}

}  // namespace vernier::datasets

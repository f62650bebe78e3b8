#include "datasets/document_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <span>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "datasets/parquet_rows.h"
#include "datasets/utf8.h"

namespace vernier::datasets {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kScanBytes = uint64_t{1} << 20;

// What files of other kinds begin with.
struct FileKind {
  std::string_view first_bytes;
  std::string_view name;
  std::string_view remedy;
};

constexpr std::string_view kUnpack = "Unpack it first";
constexpr std::string_view kMakeParquet = "Write it as Parquet or JSON lines";

constexpr std::array<FileKind, 9> kOtherKinds = {{
    {"version https://git-lfs", "a pointer of Git LFS", "Fetch the file itself: git lfs pull"},
    {"ARROW1", "an Arrow file", kMakeParquet},
    {"\xFF\xFF\xFF\xFF", "an Arrow stream", kMakeParquet},
    {"\x1F\x8B", "a gzip file", kUnpack},
    {"\x28\xB5\x2F\xFD", "a zstd file", kUnpack},
    {"BZh", "a bzip2 file", kUnpack},
    {"\xFD\x37zXZ", "an xz file", kUnpack},
    {"PK\x03\x04", "a zip file", kUnpack},
    {"GGUF", "a GGUF model", "Name a file of text"},
}};

void RequireTextKind(const fs::path& path, std::string_view first_bytes) {
  for (const FileKind& kind : kOtherKinds) {
    if (!first_bytes.starts_with(kind.first_bytes)) continue;
    throw Error(ErrorCode::kBadDataset, path.string(), fmt::format("is {}, not text", kind.name),
                kind.remedy);
  }
}

// Text has none, in whatever encoding that is read here.
void RequireNoNul(const fs::path& path, std::string_view bytes, uint64_t offset) {
  const size_t at = bytes.find('\0');
  if (at == std::string_view::npos) return;
  throw Error(ErrorCode::kBadDataset, path.string(),
              fmt::format("is no UTF-8 text: its byte {} is NUL", offset + at),
              "Name a file of text, JSON lines or a JSON array");
}

// A pipe has no size, and cannot be read where a document is.
void RequireRegularFile(const fs::path& path) {
  std::error_code ignored;  // what is not there is reported when it is opened
  const fs::file_status status = fs::status(path, ignored);
  if (!fs::exists(status) || fs::is_regular_file(status)) return;
  throw Error(ErrorCode::kBadDataset, path.string(), "is a pipe or a device, not a file",
              "Write the data to a file first");
}

// A text's beginning; a character may be cut at its end.
void RequireUtf8(const fs::path& path, std::string_view first_bytes) {
  constexpr size_t kLongestCut = 3;
  const size_t valid = WellFormedPrefix(first_bytes);
  if (valid + kLongestCut >= first_bytes.size() && first_bytes.size() == kScanBytes) return;
  if (valid == first_bytes.size()) return;
  throw Error(ErrorCode::kBadDataset, path.string(),
              fmt::format("is no UTF-8 text: at its byte {}", valid),
              "Convert it, e.g. with iconv -f LATIN1 -t UTF-8");
}

// Finds where the elements of a JSON array begin and end, byte by byte.
class ElementScanner {
 public:
  struct Element {
    uint64_t line = 1, begin = 0, end = 0;
  };

  // Calls `found` with each element that ends in `bytes`, which begin at `offset` of the file.
  template <typename Found>
  void Scan(std::string_view bytes, uint64_t offset, const Found& found) {
    for (size_t i = 0; i < bytes.size(); ++i) {
      if (Step(bytes[i], offset + i)) found(element_);
    }
  }

  // Whether the array's end was seen, and whether anything follows it.
  bool complete() const { return depth_ == 0 && begun_; }
  bool has_more() const { return has_more_; }

 private:
  // Whether `element_` ended before this character.
  bool Step(char c, uint64_t at) {
    const uint64_t line = line_;
    line_ += c == '\n';
    if (in_string_) {
      in_string_ = escaped_ || c != '"';
      escaped_ = !escaped_ && c == '\\';
      return false;
    }
    const bool is_space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (is_space) return false;
    if (complete()) {
      has_more_ = true;
      return false;
    }
    const bool ends = depth_ == 1 && (c == ',' || c == ']');
    if (!ends && depth_ == 1 && !in_element_) {
      element_.line = line;
      element_.begin = at;
      in_element_ = true;
    }
    in_string_ = c == '"';
    if (c == '[' || c == '{') ++depth_;
    if (c == ']' || c == '}') --depth_;
    begun_ = true;
    if (!ends || !in_element_) return false;
    in_element_ = false;
    element_.end = at;
    return true;
  }

  Element element_;
  uint64_t line_ = 1;
  int64_t depth_ = 0;
  bool begun_ = false, has_more_ = false, in_element_ = false, in_string_ = false, escaped_ = false;
};

// The extension in lower case.
std::string KindOfName(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension;
}

bool HasJsonName(const fs::path& path) {
  const std::string kind = KindOfName(path);
  return kind == ".jsonl" || kind == ".json";
}

bool HasParquetName(const fs::path& path) { return KindOfName(path) == ".parquet"; }

// Whether format or name and the content agree that it is Parquet; an error when they disagree.
bool ReadsParquet(const fs::path& path, SourceFormat format, std::string_view first_bytes) {
  const bool is_auto = format == SourceFormat::kAuto;
  const bool is_parquet = IsParquet(first_bytes);
  const bool wants_parquet =
      format == SourceFormat::kParquet || (is_auto && (is_parquet || HasParquetName(path)));
  if (is_parquet == wants_parquet) return is_parquet;
  throw Error(ErrorCode::kBadDataset, path.string(),
              is_parquet ? "is a Parquet file, not text" : "is no Parquet file",
              is_parquet
                  ? "Name the source's format \"parquet\" or \"auto\""
                  : "Fetch the file again, or name the source's format \"jsonl\" or \"text\"");
}

bool IsJson(const fs::path& path, SourceFormat format) {
  return format == SourceFormat::kAuto ? HasJsonName(path) : format == SourceFormat::kJsonl;
}

void ReadInto(const File& file, uint64_t offset, std::string& out) {
  file.ReadAt(offset, std::as_writable_bytes(std::span(out)));
}

// The file's bytes, some at a time, with the offset of the first of them.
template <typename Use>
void ForEachChunk(const fs::path& path, const File& file, const Use& use) {
  const uint64_t size = file.Size();
  std::string chunk;
  for (uint64_t offset = 0; offset < size; offset += chunk.size()) {
    chunk.resize(std::min(kScanBytes, size - offset));
    ReadInto(file, offset, chunk);
    RequireNoNul(path, chunk, offset);
    use(std::string_view(chunk), offset);
  }
}

// Whether a directory's file of this name is one of its data files.
bool IsDataName(const fs::path& path, SourceFormat format) {
  if (path.filename().string().starts_with('.')) return false;
  if (HasParquetName(path)) {
    return format == SourceFormat::kAuto || format == SourceFormat::kParquet;
  }
  return format != SourceFormat::kParquet && (HasJsonName(path) || KindOfName(path) == ".txt");
}

std::vector<fs::path> FilesOfDirectory(const fs::path& directory, SourceFormat format) {
  std::error_code error;
  std::vector<fs::path> files;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const fs::path& path = it->path();
    std::error_code ignored;  // what cannot be looked at is reported when it is opened
    if (fs::is_directory(path, ignored)) continue;
    if (IsDataName(path, format)) files.push_back(path);
  }
  if (error) {
    throw Error(ErrorCode::kFileOpen, directory.string(), error.message(),
                "Check the path and the permissions");
  }
  if (files.empty()) {
    throw Error(ErrorCode::kBadDataset, directory.string(),
                format == SourceFormat::kParquet
                    ? "the directory holds no .parquet file"
                    : "the directory holds no .jsonl, .json, .parquet or .txt file",
                "Name a file, or a directory that holds some");
  }
  std::ranges::sort(files, {}, [](const fs::path& path) { return path.filename().native(); });
  return files;
}

}  // namespace

DocumentIndex DocumentIndex::Scan(const DataSource& source) {
  DocumentIndex index;
  index.column_ = source.column;
  std::error_code ignored;  // a path that cannot be looked at is reported when it is opened
  if (!fs::is_directory(source.path, ignored)) {
    index.AddFile(source.path, source.format);
    return index;
  }
  for (const fs::path& path : FilesOfDirectory(source.path, source.format)) {
    index.AddFile(path, source.format);
  }
  return index;
}

Document DocumentIndex::Read(size_t document) const {
  const Entry& entry = entries_.at(document);
  const SourceFile& file = files_[entry.file];
  Document result{std::string(entry.bytes, '\0'), file.path.string(), file.is_json};
  result.column = column_;
  if (file.rows != nullptr) {
    result.origin += fmt::format(":row {}", entry.line);
    ReadInto(*file.rows, entry.offset, result.content);
    return result;
  }
  if (file.is_json) result.origin += fmt::format(":{}", entry.line);
  ReadInto(File::OpenForRead(file.path), entry.offset, result.content);
  return result;
}

void DocumentIndex::AddFile(const fs::path& path, SourceFormat format) {
  RequireRegularFile(path);
  const File file = File::OpenForRead(path);
  std::string first(std::min(kScanBytes, file.Size()), '\0');
  ReadInto(file, 0, first);
  RequireTextKind(path, first);
  if (ReadsParquet(path, format, first)) return AddParquet(path);
  RequireNoNul(path, first, 0);
  files_.push_back({path, IsJson(path, format), nullptr});
  if (!files_.back().is_json) {
    RequireUtf8(path, first);
    AddLine(1, 0, file.Size());
    return;
  }
  const size_t at = first.find_first_not_of(" \t\r\n");
  if (at != std::string::npos && first[at] == '[') {
    AddElements(path, file);
  } else {
    AddLines(path, file);
  }
}

void DocumentIndex::AddParquet(const fs::path& path) {
  auto rows = std::make_shared<const File>(ConvertParquetRows(path, column_));
  files_.push_back({path, true, rows});
  AddLines(path, *rows);
}

void DocumentIndex::AddElements(const fs::path& path, const File& file) {
  ElementScanner scanner;
  ForEachChunk(path, file, [&](std::string_view chunk, uint64_t offset) {
    scanner.Scan(chunk, offset, [&](const ElementScanner::Element& element) {
      AddLine(element.line, element.begin, element.end);
    });
  });
  if (scanner.complete() && !scanner.has_more()) return;
  throw Error(
      ErrorCode::kBadDataset, path.string(),
      scanner.complete() ? "something follows the JSON array" : "the JSON array does not end",
      "Write one array of objects, or one JSON object a line");
}

void DocumentIndex::AddLines(const fs::path& path, const File& file) {
  uint64_t line = 1, begin = 0;
  ForEachChunk(path, file, [&](std::string_view chunk, uint64_t offset) {
    for (size_t at = chunk.find('\n'); at != std::string::npos; at = chunk.find('\n', at + 1)) {
      AddLine(line++, begin, offset + at);
      begin = offset + at + 1;
    }
  });
  AddLine(line, begin, file.Size());
}

void DocumentIndex::AddLine(uint64_t line, uint64_t begin, uint64_t end) {
  if (begin == end) return;
  entries_.push_back({files_.size() - 1, line, begin, end - begin});
}

}  // namespace vernier::datasets

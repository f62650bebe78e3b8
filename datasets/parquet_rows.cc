#include "datasets/parquet_rows.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/child_process.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/text.h"

namespace vernier::datasets {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kInstalledProgram = "/usr/local/bin/duckdb";
// Nothing is heard of the program until the last row is written.
constexpr std::chrono::hours kQueryPatience{1};

constexpr std::array<std::string_view, 4> kDocumentColumns = {"input_ids", "messages",
                                                              "conversations", "text"};
constexpr std::array<std::string_view, 3> kChatColumns = {"tools", "documents",
                                                          "chat_template_kwargs"};

[[noreturn]] void Refuse(const fs::path& path, std::string_view problem, std::string_view remedy) {
  throw Error(ErrorCode::kBadDataset, path.string(), problem, remedy);
}

ChildProcess StartProgram(const fs::path& path) {
  const char* named = std::getenv("VERNIER_DUCKDB");
  std::vector<std::string> programs = {"duckdb", std::string(kInstalledProgram)};
  if (named != nullptr) programs = {named};
  for (const std::string& program : programs) {
    // Statements come on its standard input; the first error ends it.
    auto child = ChildProcess::Start(
        {.arguments = {program, "-init", "/dev/null", "-batch", "-bail", "-list", "-noheader"},
         .patience = kQueryPatience});
    if (child) return std::move(*child);
  }
  throw Error(
      ErrorCode::kNoProgram, path.string(),
      fmt::format("Parquet is read by DuckDB's program, and there is no \"{}\"", programs.front()),
      fmt::format("Run tools/install_duckdb.sh, or {}", kMakeJsonl));
}

// A file of ours under a name that the program can open, whatever it is called, if it is at all.
std::string NameForProgram(const File& file) {
  return fmt::format("/proc/{}/fd/{}", getpid(), file.descriptor());
}

std::string Quoted(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) quoted += c == '"' ? std::string(2, c) : std::string(1, c);
  return quoted + '"';
}

fs::path ScratchDirectory() {
  std::error_code error;
  fs::path directory = fs::temp_directory_path(error);
  if (!error) return directory;
  throw Error(ErrorCode::kFileOpen, "TMPDIR", error.message(),
              "Let it name a directory, or leave it out");
}

// A new file that has no name any more.
File OpenNameless(const fs::path& directory) {
  std::string name = (directory / "vernier-XXXXXX").string();
  const int descriptor = mkstemp(name.data());
  if (descriptor < 0) ThrowWriteError(name, errno);
  close(descriptor);
  File file = File::OpenForWrite(name, /*truncate=*/true);
  std::error_code ignored;
  fs::remove(name, ignored);
  return file;
}

// A program that reads one file and is asked about it.
class ParquetReader {
 public:
  ParquetReader(const fs::path& path, const fs::path& scratch)
      : path_(path),
        scratch_(scratch),
        source_(File::OpenForRead(path)),
        lines_(OpenNameless(scratch)),
        program_(StartProgram(path)),
        // Files of Python's and Java's older writers mark no column as text.
        rows_(fmt::format("read_parquet('{}', binary_as_string=true, hive_partitioning=false)",
                          NameForProgram(source_))) {
    for (const std::string_view setting :
         {"errors_as_json=true", "temp_directory=''", "autoinstall_known_extensions=false",
          "autoload_known_extensions=false", "preserve_insertion_order=true",
          // With more, whole row groups wait in memory for their turn.
          "threads=1"}) {
      Tell(fmt::format("SET {};", setting));
    }
  }

  std::vector<std::string> ColumnNames() {
    Tell(fmt::format("SELECT to_json(list(column_name)) FROM (DESCRIBE SELECT * FROM {});", rows_));
    const std::optional<std::string> names = program_.ReadLine();
    if (!names) Fail();
    return ParseJson(*names, path_.string()).get<std::vector<std::string>>();
  }

  File WriteLines(std::span<const std::string> columns) && {
    std::vector<std::string> quoted;
    for (const std::string& column : columns) quoted.push_back(Quoted(column));
    Tell(fmt::format("COPY (SELECT {} FROM {}) TO '{}' (FORMAT json, use_tmp_file false);",
                     JoinNames(quoted), rows_, NameForProgram(lines_)));
    if (program_.Wait() != 0) ThrowFailure();
    return std::move(lines_);
  }

 private:
  // What was not heard is noticed by what does not come back.
  void Tell(std::string_view statement) { program_.WriteLine(statement); }

  [[noreturn]] void Fail() {
    program_.Wait();
    ThrowFailure();
  }

  // The program has ended.
  [[noreturn]] void ThrowFailure() const {
    ThrowIfInterrupted();
    const std::string complaint = Complaint();
    if (complaint.find("No space left") != std::string::npos) ThrowWriteError(scratch_, ENOSPC);
    if (complaint.starts_with("failed to allocate")) {
      Refuse(path_, "its rows are too large for this machine's memory",
             fmt::format("Split long rows, or {}", kMakeJsonl));
    }
    Refuse(path_, fmt::format("cannot be read as Parquet: {}", complaint),
           fmt::format("Fetch the file again; if it is intact, {}", kMakeJsonl));
  }

  // One line, in which the file has the name that the user knows.
  std::string Complaint() const {
    std::string text = program_.LastComplaint();
    const Json error = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (error.is_object()) text = error.value("exception_message", text);
    text = text.substr(0, text.find('\n'));
    const std::string name = NameForProgram(source_);
    const size_t at = text.find(name);
    if (at != std::string::npos) text.replace(at, name.size(), path_.filename().string());
    while (text.ends_with('!') || text.ends_with('.')) text.pop_back();
    return text.empty() ? "DuckDB ended without a word" : text;
  }

  const fs::path& path_;
  const fs::path& scratch_;
  File source_;
  File lines_;
  ChildProcess program_;
  std::string rows_;
};

bool Contains(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

// Those of the file's columns that a document is made of.
std::vector<std::string> ChooseColumns(const fs::path& path, std::span<const std::string> present,
                                       std::string_view column) {
  const std::vector<std::string_view> wanted =
      column.empty()
          ? std::vector<std::string_view>(kDocumentColumns.begin(), kDocumentColumns.end())
          : std::vector<std::string_view>{column};
  std::vector<std::string> chosen;
  bool has_document = false;
  for (const std::string& name : present) {
    const bool is_document = Contains(wanted, name);
    has_document = has_document || is_document;
    if (is_document || Contains(kChatColumns, name)) chosen.push_back(name);
  }
  if (has_document) return chosen;
  Refuse(path,
         fmt::format("has no column \"{}\" (its columns: {})", fmt::join(wanted, "\" or \""),
                     JoinNames(present)),
         "Name the column that holds the text as the source's \"column\" (eval: --column)");
}

}  // namespace

bool IsParquet(std::string_view first_bytes) {
  // The second: encrypted, which DuckDB explains.
  return first_bytes.starts_with("PAR1") || first_bytes.starts_with("PARE");
}

File ConvertParquetRows(const fs::path& path, std::string_view column) {
  const fs::path scratch = ScratchDirectory();
  ParquetReader reader(path, scratch);
  const std::vector<std::string> columns = ChooseColumns(path, reader.ColumnNames(), column);
  File lines = std::move(reader).WriteLines(columns);
  if (lines.Size() == 0) Refuse(path, "has no rows", "Remove the file, or name another one");
  return lines;
}

}  // namespace vernier::datasets

// Where the documents of a source begin and end, so that any of them can be read on its own.
#ifndef VERNIER_DATASETS_DOCUMENT_INDEX_H_
#define VERNIER_DATASETS_DOCUMENT_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "datasets/calibration_set.h"

namespace vernier::datasets {

struct Document {
  std::string content;  // a line of JSON, or a whole text
  std::string origin;   // "file:line", "file:row N" or "file", for messages
  bool is_json = false;
  std::string column = {};  // the field that holds the text, if the source names one
};

// Every non-empty line of the source's JSON-lines files, every element of its JSON arrays, every
// row of its Parquet files and every one of its text files, in order of file name and line. Holds
// none of the content, and no file open but those that Parquet files were converted to.
class DocumentIndex {
 public:
  // Errors: kBadDataset when a directory holds no file of data, for an array without end, and for a
  // file that is no text by its content: one of a known other kind, or with a NUL byte in its
  // beginning (JSON: anywhere); kFileOpen, kFileRead.
  static DocumentIndex Scan(const DataSource& source);

  size_t size() const { return entries_.size(); }
  Document Read(size_t document) const;

 private:
  struct SourceFile {
    std::filesystem::path path;
    bool is_json;
    std::shared_ptr<const File> rows;  // of a Parquet file: its rows as JSON lines
  };
  struct Entry {
    size_t file;
    uint64_t line;
    uint64_t offset;
    uint64_t bytes;
  };

  void AddFile(const std::filesystem::path& path, SourceFormat format);
  void AddParquet(const std::filesystem::path& path);
  void AddElements(const std::filesystem::path& path, const File& file);
  void AddLines(const std::filesystem::path& path, const File& file);
  void AddLine(uint64_t line, uint64_t begin, uint64_t end);

  std::string column_;
  std::vector<SourceFile> files_;
  std::vector<Entry> entries_;
};

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_DOCUMENT_INDEX_H_

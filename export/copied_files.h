// Tokenizer, generation config, licence and other files that belong to a checkpoint.
#ifndef VERNIER_EXPORT_COPIED_FILES_H_
#define VERNIER_EXPORT_COPIED_FILES_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/containers/container.h"

namespace vernier::exporter {

enum class HashKind {
  kOfFile,     // XXH3-128 of the file
  kOfTensors,  // ShardHash
};

struct OutputFile {
  std::string name;  // relative to the output directory
  uint64_t bytes = 0;
  std::string hash;
  HashKind hash_kind = HashKind::kOfFile;
};

// Names of the regular files of `source` and of its subdirectories (one level) that an export
// copies, sorted: all but weights and their index, the files that the export writes itself into
// `container`, the model card, which speaks of the source and whose place the output's own takes,
// and hidden ones. A link to a file counts as the file; linked directories are left
// out.
std::vector<std::string> ListCopiedFiles(const std::filesystem::path& source,
                                         const checkpoint::Container& container);

uint64_t TotalFileBytes(const std::filesystem::path& source, const std::vector<std::string>& names);

// Copies the named files, each finished or absent, and describes them.
std::vector<OutputFile> CopyFiles(const std::filesystem::path& source,
                                  const std::filesystem::path& output,
                                  const std::vector<std::string>& names);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_COPIED_FILES_H_

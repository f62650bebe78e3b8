#include "run/run_files.h"

#include <vector>

#include "run/partial_layer.h"

namespace vernier::run {
namespace {

// Extensions of hidden-NNNN.bin, layer-NNNN-PART.part, files being written, and scratch.
bool HoldsHiddenStates(const std::filesystem::path& path) {
  const std::filesystem::path extension = path.extension();
  return extension == ".bin" || extension == ".part" || extension == ".partial" ||
         extension == ".scratch";
}

std::vector<std::filesystem::path> List(const std::filesystem::path& run_dir) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(run_dir)) {
    if (entry.is_regular_file() && HoldsHiddenStates(entry.path())) files.push_back(entry.path());
  }
  return files;
}

}  // namespace

std::set<std::string> NeededFiles(const Store& store) {
  std::set<std::string> needed;
  if (const auto activations = store.LatestActivations()) needed.insert(activations->file_name);
  if (const auto partial = LoadPartialLayer(store)) {
    for (const SavedPart& part : partial->parts) needed.insert(part.file_name);
  }
  return needed;
}

void RemoveStaleFiles(const std::filesystem::path& run_dir, const std::set<std::string>& needed) {
  for (const std::filesystem::path& file : List(run_dir)) {
    std::error_code ignored;  // it only takes room
    if (!needed.contains(file.filename().string())) std::filesystem::remove(file, ignored);
  }
}

uint64_t BytesOfFiles(const std::filesystem::path& run_dir) {
  uint64_t bytes = 0;
  for (const std::filesystem::path& file : List(run_dir)) bytes += std::filesystem::file_size(file);
  return bytes;
}

}  // namespace vernier::run

#include "run/run_files.h"

#include <vector>

#include "run/partial_layer.h"
#include "run/solved_weight.h"
#include "run/statistic_rows.h"
#include "run/value_file.h"

namespace vernier::run {
namespace {

bool HoldsValues(const std::filesystem::path& path) {
  return path.extension() == kValueFileExtension;
}

std::set<std::string> ValueFiles(const Store& store) {
  std::set<std::string> files = StatisticFiles(store.database());
  files.merge(SolvedWeightFiles(store.database()));
  return files;
}

// Extensions of hidden-NNNN.bin, layer-NNNN-PART.part, files being written, and scratch.
bool HoldsHiddenStates(const std::filesystem::path& path) {
  const std::filesystem::path extension = path.extension();
  return extension == ".bin" || extension == ".part" || extension == ".partial" ||
         extension == ".scratch";
}

bool IsOurs(const std::filesystem::path& path) {
  return HoldsHiddenStates(path) || HoldsValues(path);
}

std::vector<std::filesystem::path> List(const std::filesystem::path& run_dir,
                                        bool (*wanted)(const std::filesystem::path&)) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(run_dir)) {
    if (entry.is_regular_file() && wanted(entry.path())) files.push_back(entry.path());
  }
  return files;
}

void RemoveAllBut(const std::set<std::string>& needed,
                  const std::vector<std::filesystem::path>& files) {
  for (const std::filesystem::path& file : files) {
    std::error_code ignored;  // it only takes room
    if (!needed.contains(file.filename().string())) std::filesystem::remove(file, ignored);
  }
}

}  // namespace

std::set<std::string> NeededFiles(const Store& store) {
  std::set<std::string> needed = ValueFiles(store);
  if (const auto activations = store.LatestActivations()) needed.insert(activations->file_name);
  for (const SavedPart& part : SavedParts(store.database())) needed.insert(part.file_name);
  return needed;
}

void RemoveStaleFiles(const std::filesystem::path& run_dir, const std::set<std::string>& needed,
                      int through) {
  std::vector<std::filesystem::path> files = List(run_dir, IsOurs);
  std::erase_if(files, [through](const std::filesystem::path& file) {
    return UnitOfValueFile(file).value_or(0) > through;
  });
  RemoveAllBut(needed, files);
}

void RemoveStaleValues(const Store& store) {
  RemoveAllBut(ValueFiles(store), List(store.run_dir(), HoldsValues));
}

uint64_t BytesOfFiles(const std::filesystem::path& run_dir) {
  uint64_t bytes = 0;
  for (const std::filesystem::path& file : List(run_dir, IsOurs)) {
    bytes += std::filesystem::file_size(file);
  }
  return bytes;
}

}  // namespace vernier::run

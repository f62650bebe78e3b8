// A container unlike safetensors: names of its own, two of the source's files in one, tensors at
// multiples of 64 bytes, and behind them a list of where they are.
#ifndef VERNIER_TESTS_EXPORT_LISTED_CONTAINER_H_
#define VERNIER_TESTS_EXPORT_LISTED_CONTAINER_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/containers/container.h"

namespace vernier::testing {

inline constexpr uint64_t kListedAlignment = 64;
inline constexpr std::string_view kListedIndex = "files.txt";

// A file is the model type, the number of files and where the list begins, a line each; tensors;
// and the list, a line of name, dtype, begin and end for each.
class ListedContainer final : public checkpoint::Container {
 public:
  std::string_view extension() const override { return ".listed"; }
  std::vector<std::string_view> IndexFileNames() const override { return {kListedIndex}; }
  std::vector<std::string> FileNames(const checkpoint::SourceModel& source) const override;
  std::string TensorName(const checkpoint::LogicalWeight& weight, std::string name) const override;
  std::vector<checkpoint::FileLayout> LayOut(
      const checkpoint::SourceModel& source,
      std::vector<checkpoint::FileContent> files) const override;
  checkpoint::FileFrame Frame(const checkpoint::SourceModel& source,
                              std::span<const checkpoint::PlannedFile> files,
                              size_t index) const override;
  std::vector<checkpoint::IndexFile> IndexFiles(
      std::span<const checkpoint::PlannedFile> files) const override;
};

struct ListedFile {
  std::string model_type;
  size_t files = 0;
  std::map<std::string, std::string> tensors;  // their bytes, by name
  std::map<std::string, uint64_t> begins;      // where they are
};

// Reads a file by its own list. Bytes that the list does not account for must be zeros.
ListedFile ReadListedFile(const std::filesystem::path& path);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_EXPORT_LISTED_CONTAINER_H_

// Safetensors files, and model.safetensors.index.json beside them.
#include "checkpoint/safetensors.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "checkpoint/checkpoint.h"
#include "checkpoint/containers/registry.h"
#include "checkpoint/source_model.h"

namespace vernier::checkpoint {
namespace {

// Sorted by name; total_size is the sum of tensor bytes.
std::string SafetensorsIndexText(std::span<const PlannedFile> files) {
  // Not Json: its look-up by name is linear, and there may be 100,000 names.
  nlohmann::json weight_map = nlohmann::json::object();
  uint64_t tensor_bytes = 0;
  for (const PlannedFile& file : files) {
    for (const TensorInfo* tensor : file.tensors) {
      weight_map[tensor->name] = file.name;
      tensor_bytes += tensor->Bytes();
    }
  }
  const nlohmann::json index = {{"metadata", {{"total_size", tensor_bytes}}},
                                {"weight_map", std::move(weight_map)}};
  return index.dump(2) + "\n";
}

class Safetensors final : public Container {
 public:
  std::string_view extension() const override { return kSafetensorsExtension; }

  std::vector<std::string_view> IndexFileNames() const override { return {kIndexFileName}; }

  // A file keeps its source's name.
  std::vector<std::string> FileNames(const SourceModel& source) const override {
    std::vector<std::string> names;
    for (const Shard& shard : source.checkpoint.shards()) names.push_back(shard.file_name);
    return names;
  }

  std::string TensorName(const LogicalWeight& /*weight*/, std::string name) const override {
    return name;
  }

  std::vector<FileLayout> LayOut(const SourceModel& /*source*/,
                                 std::vector<FileContent> files) const override {
    std::vector<FileLayout> layouts;
    for (FileContent& file : files) {
      SafetensorsLayout layout = PlanSafetensors(std::move(file.tensors), file.metadata);
      layouts.push_back({std::move(layout.tensors), layout.file_bytes});
    }
    return layouts;
  }

  FileFrame Frame(const SourceModel& /*source*/, std::span<const PlannedFile> files,
                  size_t index) const override {
    return {SafetensorsPrefix(files[index].tensors, *files[index].metadata), {}};
  }

  // For a single file too: SGLang looks for the experts' dtype through it.
  std::vector<IndexFile> IndexFiles(std::span<const PlannedFile> files) const override {
    return {{std::string(kIndexFileName), SafetensorsIndexText(files)}};
  }
};

}  // namespace

const Container& SafetensorsContainer() {
  static const Safetensors container;
  return container;
}

}  // namespace vernier::checkpoint

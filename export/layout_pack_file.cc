#include "export/layout_pack_file.h"

#include <utility>

namespace vernier::exporter {

LayoutPackFile::LayoutPackFile(std::filesystem::path path,
                               std::vector<checkpoint::TensorSpec> specs,
                               const std::map<std::string, std::string>& metadata)
    : path_(std::move(path)), file_(File::OpenForWrite(PartialPath(path_), /*truncate=*/true)) {
  const checkpoint::SafetensorsLayout layout =
      checkpoint::PlanSafetensors(std::move(specs), metadata);
  file_.Preallocate(layout.file_bytes);
  file_.WriteAt(0, std::as_bytes(std::span(layout.prefix)));
  for (const checkpoint::TensorInfo& tensor : layout.tensors) begin_[tensor.name] = tensor.begin;
}

void LayoutPackFile::Write(const std::string& tensor, uint64_t offset,
                           std::span<const std::byte> bytes) const {
  file_.WriteAt(begin_.at(tensor) + offset, bytes);
}

void LayoutPackFile::Publish() { PublishPartial(path_); }

std::vector<uint8_t> ReadBlockScales(const checkpoint::Checkpoint& checkpoint,
                                     const checkpoint::LogicalWeight& weight) {
  std::vector<uint8_t> scales(checkpoint.tensor(weight.scale).info.Bytes());
  checkpoint.Read(weight.scale, 0, std::as_writable_bytes(std::span(scales)));
  return scales;
}

std::map<int, std::vector<size_t>> Nvfp4Layers(const checkpoint::ModelLayout& layout) {
  std::map<int, std::vector<size_t>> layers;
  for (size_t i = 0; i < layout.weights.size(); ++i) {
    const checkpoint::LogicalWeight& weight = layout.weights[i];
    if (weight.format != checkpoint::formats::kNvfp4 || weight.layer < 0) continue;
    if (weight.role != checkpoint::Role::kMtp) layers[weight.layer].push_back(i);
  }
  return layers;
}

}  // namespace vernier::exporter

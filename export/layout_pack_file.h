// One file of a kernel-layout pack.
#ifndef VERNIER_EXPORT_LAYOUT_PACK_FILE_H_
#define VERNIER_EXPORT_LAYOUT_PACK_FILE_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/source_model.h"

namespace vernier::exporter {

// Tensors are given in any order, and in pieces. Published when complete.
class LayoutPackFile {
 public:
  LayoutPackFile(std::filesystem::path path, std::vector<checkpoint::TensorSpec> specs,
                 const std::map<std::string, std::string>& metadata);

  void Write(const std::string& tensor, uint64_t offset, std::span<const std::byte> bytes) const;
  void Publish();

 private:
  std::filesystem::path path_;
  File file_;
  std::unordered_map<std::string, uint64_t> begin_;  // of each tensor
};

// The block scales of an NVFP4 weight, [N, K / 16] row-major.
std::vector<uint8_t> ReadBlockScales(const checkpoint::Checkpoint& checkpoint,
                                     const checkpoint::LogicalWeight& weight);

// Each layer's indices into ModelLayout::weights of NVFP4 weights, in layout order.
std::map<int, std::vector<size_t>> Nvfp4Layers(const checkpoint::ModelLayout& layout);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_LAYOUT_PACK_FILE_H_

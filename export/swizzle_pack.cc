#include "export/swizzle_pack.h"

#include <string>
#include <utility>
#include <vector>

#include "base/rounding.h"
#include "export/layout_pack_file.h"
#include "quantizers/kernel_layouts.h"

namespace vernier::exporter {
namespace {

constexpr auto kSwizzle = quantizers::ScaleSwizzle::k128x4;
constexpr int64_t kTileRows = 128;
constexpr int64_t kTileColumns = 4;

std::string ScaleName(const checkpoint::LogicalWeight& weight) {
  return weight.module + ".weight_scale";
}

}  // namespace

void WriteSwizzledLayer(const checkpoint::SourceModel& model, const std::vector<size_t>& weights,
                        const std::filesystem::path& path) {
  std::vector<checkpoint::TensorSpec> specs;
  for (const size_t index : weights) {
    const checkpoint::LogicalWeight& weight = model.layout.weights[index];
    const std::vector<int64_t>& shape = model.checkpoint.tensor(weight.scale).info.shape;
    specs.push_back({ScaleName(weight),
                     checkpoint::DType::kF8E4M3,
                     {RoundUp(shape[0], kTileRows), RoundUp(shape[1], kTileColumns)}});
  }
  LayoutPackFile file(path, std::move(specs), {{"layout", "swizzle-128x4"}});
  for (const size_t index : weights) {
    const checkpoint::LogicalWeight& weight = model.layout.weights[index];
    const std::vector<int64_t>& shape = model.checkpoint.tensor(weight.scale).info.shape;
    const std::vector<uint8_t> scales = ReadBlockScales(model.checkpoint, weight);
    std::vector<uint8_t> swizzled(quantizers::SwizzledSize(kSwizzle, shape[0], shape[1]));
    quantizers::SwizzleScales(kSwizzle, scales, shape[1], swizzled);
    file.Write(ScaleName(weight), 0, std::as_bytes(std::span(swizzled)));
  }
  file.Publish();
}

}  // namespace vernier::exporter

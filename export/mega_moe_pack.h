// The pack "mega-moe" of layout_packs.h.
#ifndef VERNIER_EXPORT_MEGA_MOE_PACK_H_
#define VERNIER_EXPORT_MEGA_MOE_PACK_H_

#include <cstddef>
#include <filesystem>
#include <optional>
#include <vector>

#include "checkpoint/source_model.h"
#include "quantizers/kernel_layouts.h"

namespace vernier::exporter {

// The routed experts of one layer, as indices into ModelLayout::weights, by expert.
struct ExpertLayer {
  std::vector<size_t> gate, up, down;
};

// Those among `weights`, the layer's NVFP4 weights. Nothing: there is none. kBadRule when an expert
// lacks one of its three.
std::optional<ExpertLayer> FindExperts(const checkpoint::ModelLayout& layout,
                                       const std::vector<size_t>& weights);

// kBadRule for shapes that do not fit.
quantizers::FoldStats WriteMegaMoeLayer(const checkpoint::SourceModel& model,
                                        const ExpertLayer& experts,
                                        const std::filesystem::path& path);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_MEGA_MOE_PACK_H_

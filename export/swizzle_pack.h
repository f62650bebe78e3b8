// The pack "swizzle-128x4" of layout_packs.h.
#ifndef VERNIER_EXPORT_SWIZZLE_PACK_H_
#define VERNIER_EXPORT_SWIZZLE_PACK_H_

#include <cstddef>
#include <filesystem>
#include <vector>

#include "checkpoint/source_model.h"

namespace vernier::exporter {

// `weights`: the layer's NVFP4 weights, indices into ModelLayout::weights.
void WriteSwizzledLayer(const checkpoint::SourceModel& model, const std::vector<size_t>& weights,
                        const std::filesystem::path& path);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_SWIZZLE_PACK_H_

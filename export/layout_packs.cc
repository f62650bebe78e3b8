#include "export/layout_packs.h"

#include <fmt/format.h>

#include <array>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "export/directory_lock.h"
#include "export/layout_pack_file.h"
#include "export/mega_moe_pack.h"
#include "export/swizzle_pack.h"

namespace vernier::exporter {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDirectory = "kernel_layouts";
constexpr std::array<std::string_view, 2> kNames = {"swizzle-128x4", "mega-moe"};

}  // namespace

std::string_view KernelLayoutName(KernelLayout layout) {
  return kNames[static_cast<size_t>(layout)];
}

std::vector<std::string> KernelLayoutNames() { return {kNames.begin(), kNames.end()}; }

KernelLayout KernelLayoutFromName(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<KernelLayout>(i);
  }
  throw Error(ErrorCode::kBadArgument, "--layout",
              "\"" + std::string(name) + "\" is not a kernel layout",
              "Use " + JoinNames(KernelLayoutNames(), " or "));
}

PackSummary WriteLayoutPacks(const checkpoint::SourceModel& checkpoint, KernelLayout layout,
                             const Progress& progress) {
  const fs::path directory =
      checkpoint.checkpoint.directory() / kDirectory / KernelLayoutName(layout);
  const DirectoryLock lock(checkpoint.checkpoint.directory());
  CreateDirectories(directory);
  PackSummary summary;
  for (const auto& [layer, weights] : Nvfp4Layers(checkpoint.layout)) {
    progress.ThrowIfStopped();
    const fs::path path =
        directory / fmt::format("layer-{:05}{}", layer, checkpoint::kSafetensorsExtension);
    if (layout == KernelLayout::kSwizzle128x4) {
      WriteSwizzledLayer(checkpoint, weights, path);
    } else {
      const std::optional<ExpertLayer> experts = FindExperts(checkpoint.layout, weights);
      if (!experts) continue;
      summary.fold.Merge(WriteMegaMoeLayer(checkpoint, *experts, path));
    }
    ++summary.files;
  }
  if (summary.files > 0) return summary;
  throw Error(ErrorCode::kBadRule, checkpoint.checkpoint.directory().string(),
              fmt::format("has no NVFP4 weights for the layout {}", KernelLayoutName(layout)),
              "Convert to nvfp4, or leave --layout out");
}

}  // namespace vernier::exporter

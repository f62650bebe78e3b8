// Block scales rearranged for kernels, as packs beside a checkpoint. The checkpoint itself keeps
// the linear layout that engines load.
#ifndef VERNIER_EXPORT_LAYOUT_PACKS_H_
#define VERNIER_EXPORT_LAYOUT_PACKS_H_

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/progress.h"
#include "checkpoint/source_model.h"
#include "quantizers/kernel_layouts.h"

namespace vernier::exporter {

enum class KernelLayout {
  kSwizzle128x4,  // "swizzle-128x4": CUTLASS, FlashInfer, vLLM, SGLang, TensorRT-LLM
  kMegaMoe,       // "mega-moe": DeepGEMM's fused routed experts
};
std::string_view KernelLayoutName(KernelLayout layout);
// All names, in order of KernelLayout.
std::vector<std::string> KernelLayoutNames();
// kBadArgument for an unknown name.
KernelLayout KernelLayoutFromName(std::string_view name);

struct PackSummary {
  int64_t files = 0;
  quantizers::FoldStats fold;  // kMegaMoe
};

// Writes `checkpoint`/kernel_layouts/<name>/layer-<number>.safetensors for every layer of a
// finished checkpoint that has NVFP4 weights, each file finished or absent.
//
// swizzle-128x4: per NVFP4 weight X of N x K, X.weight_scale F8_E4M3, N rounded up to 128 times
// K/16
//   rounded up to 4, in the order of quantizers::SwizzleScales.
// mega-moe: per layer with E routed experts of H inputs and I hidden units, with
//   prefix P = "layers.3.ffn.experts":
//     P.l1_scale  I32 [E, H/64, 2I]  rows of gate (w1) and up (w3) interleaved by 8
//     P.l2_scale  I32 [E, I/64, H]   down (w2)
//     P.l1_factor, P.l2_factor  F32 []
//   Each int32 holds four E4M3 scales along K. Scales are folded with their expert's global scale:
//   E4M3(scale * global_scale * factor); a product of kernels is divided by the factor. The factor
//   is the largest power of two for which no folded scale exceeds 448.
//
// kInterrupted between two layers when `progress` is asked to stop.
// kBadRule when no weight is NVFP4 (kMegaMoe: no routed expert), or the shapes do not fit the
// layout (2I, H % 128 and H, I % 64).
PackSummary WriteLayoutPacks(const checkpoint::SourceModel& checkpoint, KernelLayout layout,
                             const Progress& progress);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_LAYOUT_PACKS_H_

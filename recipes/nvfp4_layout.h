// Tensors of one weight in NVFP4 as ModelOpt names and shapes them.
#ifndef VERNIER_RECIPES_NVFP4_LAYOUT_H_
#define VERNIER_RECIPES_NVFP4_LAYOUT_H_

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "checkpoint/dtype.h"
#include "checkpoint/logical_weight.h"
#include "recipes/plan.h"

namespace vernier::recipes {

// Values along the columns that share a block scale; two nibbles make a byte.
inline constexpr int64_t kNvfp4Block = 16;
inline constexpr int64_t kNibblesPerByte = 2;

struct Nvfp4Part {
  OutputPart part;
  std::string_view suffix;  // of the module's name
  checkpoint::DType dtype;
};

inline constexpr std::array<Nvfp4Part, 4> kNvfp4Parts = {{
    {OutputPart::kPacked, ".weight", checkpoint::DType::kU8},
    {OutputPart::kBlockScale, ".weight_scale", checkpoint::DType::kF8E4M3},
    {OutputPart::kGlobalScale, ".weight_scale_2", checkpoint::DType::kF32},
    {OutputPart::kInputScale, ".input_scale", checkpoint::DType::kF32},
}};

// [N, K / 2], [N, K / 16] or [] of an [N, K] weight.
inline std::vector<int64_t> Nvfp4PartShape(OutputPart part,
                                           const checkpoint::LogicalWeight& weight) {
  if (part == OutputPart::kPacked) return {weight.rows(), weight.columns() / kNibblesPerByte};
  if (part == OutputPart::kBlockScale) return {weight.rows(), weight.columns() / kNvfp4Block};
  return {};
}

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_NVFP4_LAYOUT_H_

// Every tensor of a checkpoint, grouped into logical weights.
#ifndef VERNIER_CHECKPOINT_MODEL_LAYOUT_H_
#define VERNIER_CHECKPOINT_MODEL_LAYOUT_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/name_index.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/families/family.h"
#include "checkpoint/logical_weight.h"

namespace vernier::checkpoint {

// Each source tensor is a part of exactly one logical weight.
struct ModelLayout {
  std::vector<LogicalWeight> weights;  // in order of their main tensors
  NameIndex by_module;

  // By module ("layers.0.attn.wq_a") or by the main tensor's name; nullptr when there is none.
  const LogicalWeight* FindModule(std::string_view module) const;
  const LogicalWeight* FindName(std::string_view name) const;
};

// Groups tensors by the weights that they store (tensor_group.h) and decides each one's format
// (formats/), as DeepSeek, Mistral, ModelOpt and compressed-tensors publish them:
//   X.weight F8_E4M3 + X.weight_scale, X.weight_scale_inv or X.scale
//     FP8 with one F32, BF16 or F16 scale, one per row ([N] or [N, 1]), or one per block (also
//     E8M0 or [rows, 1, columns, 1]; size from ReadFp8BlockSize); or MXFP8 with U8 or E8M0 per 32
//     columns. Optionally X.input_scale or X.activation_scale.
//   X.weight U8 or I8 + one of those names, or X.weight_packed U8 + X.weight_scale
//     MXFP4 with E8M0 or U8 per 32 columns, or NVFP4 with E4M3 per 16 columns (32 where the
//     configuration says so) and X.weight_scale_2 (X.weight_packed: the divisor
//     X.weight_global_scale); optionally X.input_scale (X.input_global_scale).
//   X.weight_packed I32 + X.weight_scale + X.weight_shape
//     INT4, a BF16, F16 or F32 scale per group of columns; asymmetric with X.weight_zero_point.
//   X.weight U8 [N/2, K] + X.weight_scale F32 [N, groups]
//     ModelOpt's INT4: a byte holds the elements of two neighbouring rows.
// Others are known by name (IsReadable is false): such a weight has the shape of its codes, and all
// its tensors. kWrongDtype, kWrongShape and kAmbiguousScale name the tensor. An FP8 or packed
// weight, or an 8-bit integer linear weight, without scales is kMissingScale; INT4 without its
// shape is kMissingTensor. A scale that belongs to no weight becomes a weight of role kOther,
// format kOpaque. Shapes are also held against the family's config (Family::CheckShapes). Reads no
// tensor but weight_shape.
//
// With `problems`, such errors do not end the call: the weight becomes kOpaque under its tensor's
// name, without its scales, and the error's text is appended.
ModelLayout BuildModelLayout(const Checkpoint& checkpoint, const Family& family,
                             std::vector<std::string>* problems = nullptr);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_MODEL_LAYOUT_H_

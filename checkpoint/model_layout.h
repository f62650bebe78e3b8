// Every tensor of a checkpoint, grouped into logical weights.
#ifndef VERNIER_CHECKPOINT_MODEL_LAYOUT_H_
#define VERNIER_CHECKPOINT_MODEL_LAYOUT_H_

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/families/family.h"
#include "checkpoint/logical_weight.h"

namespace vernier::checkpoint {

// Each source tensor is a part of exactly one logical weight.
struct ModelLayout {
  std::vector<LogicalWeight> weights;  // in order of their main tensors
  std::unordered_map<std::string, size_t> by_module;

  // By module ("layers.0.attn.wq_a") or by the main tensor's name; nullptr when there is none.
  const LogicalWeight* FindModule(std::string_view module) const;
  const LogicalWeight* FindName(std::string_view name) const;
};

// Finds each weight's scales by the suffixes of the formats it knows:
//   X.weight + X.scale or X.weight_scale_inv: FP8 with F32 or E8M0 per block (size from the
//   config's
//     quantization_config.weight_block_size, 128 x 128 without it), or
//   X.weight + X.scale or X.weight_scale: MXFP4, E8M0 per 32 columns, or
//   X.weight + X.weight_scale + X.weight_scale_2 (+ X.input_scale): NVFP4.
// Dtypes and shapes decide which; kWrongDtype, kWrongShape and kAmbiguousScale name the tensor. An
// FP8 weight, or an 8-bit integer linear weight, without scales is kMissingScale. A scale that
// belongs to no weight becomes a weight of role kOther, format kOpaque. Shapes are also held
// against the family's config (Family::CheckShapes).
//
// With `problems`, such errors do not end the call: the weight becomes kOpaque without its scales
// and the error's text is appended.
ModelLayout BuildModelLayout(const Checkpoint& checkpoint, const Family& family,
                             std::vector<std::string>* problems = nullptr);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_MODEL_LAYOUT_H_

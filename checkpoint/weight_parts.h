// Recognises the format of a quantised weight by the tensors beside it.
#ifndef VERNIER_CHECKPOINT_WEIGHT_PARTS_H_
#define VERNIER_CHECKPOINT_WEIGHT_PARTS_H_

#include <string_view>

#include "checkpoint/block_size.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/logical_weight.h"

namespace vernier::checkpoint {

inline constexpr std::string_view kWeightSuffix = ".weight";
inline constexpr std::string_view kPackedSuffix = ".weight_packed";

// Whether a tensor of this name can only be a part of the weight beside it: "X.weight_scale".
bool IsPartName(std::string_view name);

// Completes a weight whose name, module, shape, linear and main are set (main is X.weight or
// X.weight_packed): finds its parts, checks their dtypes and shapes, and sets format, shape, parts
// and blocks. A weight that is not quantised is left as it is. The formats are listed at
// BuildModelLayout, and so are the errors.
void ResolveParts(const Checkpoint& checkpoint, const BlockSize& fp8_block, LogicalWeight* weight);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_WEIGHT_PARTS_H_

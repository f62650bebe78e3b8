// Holds the tensors of a weight against the format that they are in.
#ifndef VERNIER_CHECKPOINT_WEIGHT_PARTS_H_
#define VERNIER_CHECKPOINT_WEIGHT_PARTS_H_

#include "checkpoint/checkpoint.h"
#include "checkpoint/format_hints.h"
#include "checkpoint/logical_weight.h"
#include "checkpoint/tensor_group.h"

namespace vernier::checkpoint {

// Completes a weight whose name, module, shape, linear and main are set (main is group.Main()):
// sets its format (ClassifyGroup), checks the dtypes and shapes of its parts, and sets shape, parts
// and blocks. A weight that is not quantised is left as it is, and one in a format that is not read
// has its codes' shape and all tensors of its group. Errors: those of BuildModelLayout.
void ResolveParts(const Checkpoint& checkpoint, const FormatHints& hints, const TensorGroup& group,
                  LogicalWeight* weight);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_WEIGHT_PARTS_H_

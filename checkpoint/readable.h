// Whether a source can be used at all.
#ifndef VERNIER_CHECKPOINT_READABLE_H_
#define VERNIER_CHECKPOINT_READABLE_H_

#include <string>

#include "checkpoint/checkpoint.h"
#include "checkpoint/families/family.h"
#include "checkpoint/model_layout.h"

namespace vernier::checkpoint {

// What a weight's format is, for people: "GPTQ", "INT4 with columns in another order".
std::string FormatText(const Checkpoint& checkpoint, const LogicalWeight& weight);

// kUnsupportedFormat when the quant_method, or a weight, is of a scheme whose values Vernier does
// not compute, and for an adapter (LoRA) that was not merged into its model: nothing that is made
// of such a source would be the model.
void RequireReadable(const Checkpoint& checkpoint, const ModelLayout& layout);

// kMissingTensor, naming the first few, when tensors that the family needs are absent, under their
// own names and packed.
void RequireComplete(const Family& family, const ModelLayout& layout);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_READABLE_H_

// Tensors that checkpoints carry and engines do not load.
#ifndef VERNIER_CHECKPOINT_FAMILIES_SKIPPED_TENSORS_H_
#define VERNIER_CHECKPOINT_FAMILIES_SKIPPED_TENSORS_H_

#include <string_view>

#include "base/json.h"

namespace vernier::checkpoint {

// Why engines skip a tensor of this name: a buffer that they compute anew, or a head that is the
// embedding. Empty for any other tensor. Such tensors are carried, and no model needs them. Source:
// load_weights of vLLM's and SGLang's llama.py and gpt_neox.py.
std::string_view SkippedBecause(std::string_view name, const Json& config);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_SKIPPED_TENSORS_H_

// What Hugging Face's tensor names say about roles.
#ifndef VERNIER_CHECKPOINT_FAMILIES_GENERIC_NAMES_H_
#define VERNIER_CHECKPOINT_FAMILIES_GENERIC_NAMES_H_

#include <string_view>

#include "checkpoint/families/family.h"

namespace vernier::checkpoint {

// Guesses what a tensor is for from its name, as models/ of the transformers library names them.
//   embed_tokens, lm_head, *norm*, self_attn.*_proj, mlp.*_proj, experts.N.*, shared_expert*, gate
//   and router, indexer; ".layers.N." is the layer
// Only projections of a decoder layer, and lm_head, are linear. Fused groups: q/k/v, gate/up
// (w1/w3), and q_a/kv_a. Layers from `layers` on (0: no limit), and mtp or nextn modules, are
// multi-token prediction. Vision and audio towers are left kOther without a layer.
TensorMeaning GuessMeaning(std::string_view name, int64_t layers);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_GENERIC_NAMES_H_

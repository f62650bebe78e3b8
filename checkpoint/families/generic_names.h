// What Hugging Face's tensor names say about roles.
#ifndef VERNIER_CHECKPOINT_FAMILIES_GENERIC_NAMES_H_
#define VERNIER_CHECKPOINT_FAMILIES_GENERIC_NAMES_H_

#include <string_view>

#include "checkpoint/families/family.h"

namespace vernier::checkpoint {

// Guesses what a tensor is for from its name, as models/ of the transformers library names them.
//   embeddings, lm_head, *norm*, self_attn.*, mlp.*, experts.N.*, shared_expert*, gate and router,
//   indexer; ".layers.N." (".h.N.", ".blocks.N.") is the layer
// Any "X.weight" can be a linear layer but for norms, embeddings and convolutions: whether it is
// one is for its shape to say, and not for a list of names. Fused groups: q/k/v, gate/up (w1/w3),
// q_a/kv_a, and the inputs of a delta net. Routers and projections that toolkits leave alone
// keep their precision. Layers from `layers` on (0: no limit), and mtp or nextn modules, are
// multi-token prediction. Vision and audio towers, and what projects their output, are kTower
// without a layer.
TensorMeaning GuessMeaning(std::string_view name, int64_t layers);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_GENERIC_NAMES_H_

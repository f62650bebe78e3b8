// What a tensor is for.
#ifndef VERNIER_CHECKPOINT_FAMILIES_TENSOR_MEANING_H_
#define VERNIER_CHECKPOINT_FAMILIES_TENSOR_MEANING_H_

#include <string>

#include "checkpoint/logical_weight.h"

namespace vernier::checkpoint {

// What a tensor name means to a family.
struct TensorMeaning {
  Role role = Role::kOther;
  int layer = -1;   // decoder layer, or -1; for MTP the index of the MTP layer
  int expert = -1;  // routed expert, or -1
  // "model.layers.0.self_attn.qkv": the same for weights that engines load as one matrix.
  std::string fused_group = {};
  // The weight of a linear layer, if it has two dimensions.
  bool linear = false;
  // Never given fewer bits: a router, a projection too small or too delicate for that.
  bool keeps_precision = false;
  // What a linear layer is called in its attention, MLP or expert: "q_proj", "w2".
  std::string projection = {};
  // Of a routed expert's weight, or a stack of all: the module that holds all experts of the layer,
  // "model.layers.0.mlp.experts".
  std::string experts_module = {};

  bool operator==(const TensorMeaning&) const = default;
};

inline TensorMeaning MeaningOf(Role role) {
  TensorMeaning meaning;
  meaning.role = role;
  return meaning;
}

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_TENSOR_MEANING_H_

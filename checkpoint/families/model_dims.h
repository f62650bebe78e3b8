// Sizes of a model that forecasts of memory and time need.
#ifndef VERNIER_CHECKPOINT_FAMILIES_MODEL_DIMS_H_
#define VERNIER_CHECKPOINT_FAMILIES_MODEL_DIMS_H_

#include <cstdint>

namespace vernier::checkpoint {

// In elements. Where layers differ, each size is that of the layer in which it is largest.
struct ModelDims {
  int64_t hidden_size = 0;
  int64_t residual_streams = 1;  // values per token at a layer boundary = hidden_size * streams
  int64_t layers = 0;
  int64_t vocab_size = 0;
  int64_t experts = 0;  // routed experts per MoE layer, 0 for dense models
  int64_t experts_per_token = 0;
  int64_t expert_width = 0;  // intermediate size of a routed expert
  int64_t mlp_width = 0;     // the largest intermediate size of a dense MLP or of shared experts
  int64_t attention_heads = 0;
  int64_t key_value_heads = 0;  // heads of keys and values that the forward pass holds
  int64_t head_dim = 0;
  int64_t delta_width = 0;      // channels that a delta net projects its input to
  int64_t delta_state = 0;      // numbers of its state of a sequence
  int64_t max_keys = 0;         // uncompressed keys a query may see (a window), or 0 for all
  int64_t key_compression = 0;  // smallest positive compression ratio, 0 if none
};

// Of a model with all layers of both.
ModelDims Join(const ModelDims& a, const ModelDims& b);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_MODEL_DIMS_H_

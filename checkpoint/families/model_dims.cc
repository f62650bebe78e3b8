#include "checkpoint/families/model_dims.h"

#include <algorithm>

namespace vernier::checkpoint {
namespace {

// 0: a query sees all keys.
int64_t MoreKeys(int64_t a, int64_t b) { return a == 0 || b == 0 ? 0 : std::max(a, b); }

// 0: nothing is compressed.
int64_t LessCompression(int64_t a, int64_t b) {
  return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b);
}

}  // namespace

ModelDims Join(const ModelDims& a, const ModelDims& b) {
  const auto larger = [&](int64_t ModelDims::*size) { return std::max(a.*size, b.*size); };
  return {.hidden_size = larger(&ModelDims::hidden_size),
          .residual_streams = larger(&ModelDims::residual_streams),
          .layers = a.layers + b.layers,
          .vocab_size = larger(&ModelDims::vocab_size),
          .experts = larger(&ModelDims::experts),
          .experts_per_token = larger(&ModelDims::experts_per_token),
          .expert_width = larger(&ModelDims::expert_width),
          .mlp_width = larger(&ModelDims::mlp_width),
          .attention_heads = larger(&ModelDims::attention_heads),
          .key_value_heads = larger(&ModelDims::key_value_heads),
          .head_dim = larger(&ModelDims::head_dim),
          .delta_width = larger(&ModelDims::delta_width),
          .delta_state = larger(&ModelDims::delta_state),
          .max_keys = MoreKeys(a.max_keys, b.max_keys),
          .key_compression = LessCompression(a.key_compression, b.key_compression)};
}

}  // namespace vernier::checkpoint

// What llama.cpp calls the tensors of a model and how it wants them (gguf-py's constants.py and
// tensor_mapping.py).
#ifndef VERNIER_CHECKPOINT_FAMILIES_GGUF_TENSOR_H_
#define VERNIER_CHECKPOINT_FAMILIES_GGUF_TENSOR_H_

#include <cstdint>
#include <string_view>

namespace vernier::checkpoint {

struct GgufTensor {
  // "attn_q.weight", of layer 3 in the file: "blk.3.attn_q.weight". Empty: llama.cpp has no tensor
  // for it.
  std::string_view name = {};
  enum class Rows {
    kSame,
    // Rows of a head i and i + head_rows / 2 become neighbours: llama.cpp rotates these.
    kPairs,
    // The first `first_rows` of each head are transposed, [heads, columns, first_rows]; the others
    // are the tensor `second`, [heads, head_rows - first_rows, columns].
    kSplit,
  } rows = Rows::kSame;
  int64_t head_rows = 1, first_rows = 0;
  std::string_view second = {};
  bool f32 = false;             // kept in F32, whatever the release has
  bool nvfp4 = false;           // llama.cpp multiplies by the scale beside it, which NVFP4 needs
  bool fp8_as_q8_zero = false;  // FP8 weights are kept as Q8_0; otherwise in BF16
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_GGUF_TENSOR_H_

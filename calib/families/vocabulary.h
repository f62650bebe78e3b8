// Between token ids and hidden states: the embedding at one end, the logits at the other.
#ifndef VERNIER_CALIB_FAMILIES_VOCABULARY_H_
#define VERNIER_CALIB_FAMILIES_VOCABULARY_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string_view>

#include "calib/tensor_loader.h"

namespace vernier::calib {

// The rows of the table `name` [V, D] for ids [B, S] -> [B, S, D], compute dtype. Reads only those
// rows. kBadTokenIds for an id outside [0, vocab_size).
at::Tensor EmbedTokens(const TensorLoader& loader, std::string_view name, int64_t vocab_size,
                       const at::Tensor& ids);

// x [..., D] times `projection` [V, D] transposed -> [..., V] F32. On a CPU a BF16 projection is
// widened in ranges of its rows, not as a whole.
at::Tensor ProjectToVocabulary(const at::Tensor& x, const at::Tensor& projection);

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FAMILIES_VOCABULARY_H_

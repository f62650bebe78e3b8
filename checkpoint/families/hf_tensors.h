// The tensors of a decoder in Hugging Face's names.
#ifndef VERNIER_CHECKPOINT_FAMILIES_HF_TENSORS_H_
#define VERNIER_CHECKPOINT_FAMILIES_HF_TENSORS_H_

#include <vector>

#include "checkpoint/families/decoder_config.h"
#include "checkpoint/families/tensor_table.h"

namespace vernier::checkpoint {

// Embedding, decoder layers, last norm and, unless tied, the head, in the order in which the model
// uses them.
std::vector<TensorRow> DecoderRows(const DecoderConfig& config);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_HF_TENSORS_H_

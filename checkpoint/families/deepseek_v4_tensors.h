// The tensors of a DeepSeek-V4 checkpoint in its released layout.
#ifndef VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_TENSORS_H_
#define VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_TENSORS_H_

#include <vector>

#include "checkpoint/families/deepseek_v4_config.h"
#include "checkpoint/families/tensor_table.h"
#include "checkpoint/safetensors.h"

namespace vernier::checkpoint {

// Embedding, decoder layers, final norm and head, in the order in which the model uses them; then
// the multi-token-prediction layers.
std::vector<TensorRow> DeepseekV4Rows(const DeepseekV4Config& config);

// What a layer of any kind can hold, named below it ("attn.wq_a.weight"), and with the role kMtp
// what only MTP layers do; its one expert stands for any. By it a name is understood that the
// config does not imply.
std::vector<TensorRow> DeepseekV4LayerRows(const DeepseekV4Config& config);

// The physical tensors: the weight and, where it has one, its scale.
std::vector<TensorSpec> ReleasedTensors(const TensorRow& row);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_TENSORS_H_

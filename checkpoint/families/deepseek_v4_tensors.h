// The tensors of a DeepSeek-V4 checkpoint in its released layout.
#ifndef VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_TENSORS_H_
#define VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_TENSORS_H_

#include <vector>

#include "checkpoint/families/deepseek_v4_config.h"
#include "checkpoint/families/expected_tensors.h"
#include "checkpoint/safetensors.h"

namespace vernier::checkpoint {

// Embedding, decoder layers, final norm and head, in the order in which the model uses them.
std::vector<ExpectedTensor> DeepseekV4MainTensors(const DeepseekV4Config& config);

// The multi-token-prediction layers.
std::vector<ExpectedTensor> DeepseekV4MtpTensors(const DeepseekV4Config& config);

// How the released checkpoints store a tensor.
enum class ReleasedStorage {
  kBf16,
  kF32,
  kFp8,          // E4M3 with an E8M0 scale per 128 x 128
  kMxfp4,        // two E2M1 nibbles an I8, with an E8M0 scale per 32 columns
  kExpertTable,  // I64: each token's experts, of hash-routed layers
};
ReleasedStorage StorageOf(const ExpectedTensor& tensor);

// The physical tensors: the weight and, where it has one, its scale.
std::vector<TensorSpec> ReleasedTensors(const ExpectedTensor& tensor);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_TENSORS_H_

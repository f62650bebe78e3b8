// The tensors of a DeepSeek-V4 checkpoint in its released layout.
#ifndef VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_TENSORS_H_
#define VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_TENSORS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/families/deepseek_v4_config.h"

namespace vernier::checkpoint {

struct ExpectedTensor {
  std::string name;            // of the main tensor
  std::vector<int64_t> shape;  // of the dequantised values
};

// Embedding, decoder layers, final norm and head, in the order in which the model uses them.
std::vector<ExpectedTensor> DeepseekV4MainTensors(const DeepseekV4Config& config);

// The multi-token-prediction layers.
std::vector<ExpectedTensor> DeepseekV4MtpTensors(const DeepseekV4Config& config);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_TENSORS_H_

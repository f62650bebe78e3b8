// What llama.cpp is told of DeepSeek-V4, and what it calls its tensors.
#ifndef VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_GGUF_H_
#define VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_GGUF_H_

#include <string_view>

#include "base/json.h"
#include "checkpoint/families/deepseek_v4_config.h"
#include "checkpoint/families/gguf_model.h"
#include "checkpoint/families/gguf_tensor.h"

namespace vernier::checkpoint {

// `json`: the config.json that `config` was read from.
GgufModel GgufOfDeepseekV4(const DeepseekV4Config& config, const Json& json);

// Of a tensor of the released layout, MTP layers and all that is unknown left out.
GgufTensor GgufTensorOfDeepseekV4(std::string_view name);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_GGUF_H_

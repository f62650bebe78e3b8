// What llama.cpp is told of a decoder in Hugging Face's names.
#ifndef VERNIER_CHECKPOINT_FAMILIES_HF_GGUF_H_
#define VERNIER_CHECKPOINT_FAMILIES_HF_GGUF_H_

#include <optional>

#include "base/json.h"
#include "checkpoint/families/decoder_config.h"
#include "checkpoint/families/gguf_model.h"

namespace vernier::checkpoint {

// Nothing for a family without a GgufArchitecture. Keys and their types are those that
// convert_hf_to_gguf.py writes. kBadConfig: a rotary embedding that llama.cpp does not compute for
// the architecture.
std::optional<GgufModel> GgufOf(const DecoderConfig& config, const Json& json);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_HF_GGUF_H_

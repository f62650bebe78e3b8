// What Qwen3-Next and Qwen3.5 have in common: delta nets in most layers, attention with an output
// gate in the others, norms stored without their 1, and experts with a gated shared one.
#ifndef VERNIER_CHECKPOINT_FAMILIES_QWEN_HYBRID_H_
#define VERNIER_CHECKPOINT_FAMILIES_QWEN_HYBRID_H_

#include "checkpoint/families/decoder_fields.h"

namespace vernier::checkpoint {

// Attention of all blocks, rotary embedding and norms. `ffn_width`: as of ReadDecoderSizes.
DecoderConfig ReadQwenHybrid(const ConfigReader& reader, const char* ffn_width);

// Experts with a shared one, which has a gate.
ExpertsConfig ReadQwenHybridExperts(const ConfigReader& reader, DecoderConfig* config);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_QWEN_HYBRID_H_

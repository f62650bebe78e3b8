// A family whose checkpoints have Hugging Face's names: everything follows from its DecoderConfig.
#ifndef VERNIER_CHECKPOINT_FAMILIES_HF_FAMILY_H_
#define VERNIER_CHECKPOINT_FAMILIES_HF_FAMILY_H_

#include <memory>
#include <string_view>

#include "checkpoint/families/decoder_config.h"
#include "checkpoint/families/family.h"

namespace vernier::checkpoint {

// Tensors have the role of their row (hf_tensors.h). Of those without a row, what stands in layers
// behind the decoder's, and scales of the key/value cache, mean what their names say
// (generic_names.h); all others are kOther.
std::unique_ptr<Family> MakeHfFamily(std::string_view model_type, DecoderConfig config);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_HF_FAMILY_H_

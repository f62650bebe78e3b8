// A family whose checkpoints have Hugging Face's names: everything follows from its DecoderConfig.
#ifndef VERNIER_CHECKPOINT_FAMILIES_HF_FAMILY_H_
#define VERNIER_CHECKPOINT_FAMILIES_HF_FAMILY_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/families/decoder_config.h"
#include "checkpoint/families/expected_tensors.h"
#include "checkpoint/families/family.h"

namespace vernier::checkpoint {

// "model.layers.3."
std::string DecoderLayerPrefix(int64_t layer);

// Embedding, decoder layers, last norm and, unless tied, the head, in the order in which the model
// uses them.
std::vector<ExpectedTensor> DecoderTensors(const DecoderConfig& config);

// Tensors that DecoderTensors lists get the role that their names say (generic_names.h); those of
// layers behind the decoder's are multi-token prediction; all others are kOther.
std::unique_ptr<Family> MakeHfFamily(std::string_view model_type, DecoderConfig config);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_HF_FAMILY_H_

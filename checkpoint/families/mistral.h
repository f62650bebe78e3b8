// Mistral's text models, which also stand beside Mistral 3's vision tower.
#ifndef VERNIER_CHECKPOINT_FAMILIES_MISTRAL_H_
#define VERNIER_CHECKPOINT_FAMILIES_MISTRAL_H_

#include "checkpoint/families/config_reader.h"
#include "checkpoint/families/decoder_config.h"

namespace vernier::checkpoint {

DecoderConfig ReadMistral(const ConfigReader& reader);
// The same with YaRN, and queries that grow with their position.
DecoderConfig ReadMinistral3(const ConfigReader& reader);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_MISTRAL_H_

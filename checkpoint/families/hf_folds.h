// Where factors may move in a decoder in Hugging Face's names.
#ifndef VERNIER_CHECKPOINT_FAMILIES_HF_FOLDS_H_
#define VERNIER_CHECKPOINT_FAMILIES_HF_FOLDS_H_

#include <vector>

#include "checkpoint/families/decoder_config.h"
#include "checkpoint/families/fold.h"

namespace vernier::checkpoint {

// For Family::Folds.
std::vector<Fold> DecoderFolds(const DecoderConfig& config, const ModelLayout& layout);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_HF_FOLDS_H_

// Where factors may move in DeepSeek-V4.
#ifndef VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_FOLDS_H_
#define VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_FOLDS_H_

#include <vector>

#include "checkpoint/families/deepseek_v4_config.h"
#include "checkpoint/families/fold.h"

namespace vernier::checkpoint {

// Norms, into all that reads them. Not w3 into w2: the product of both is clamped in between.
std::vector<Fold> FoldsOfDeepseekV4(const DeepseekV4Config& config, const ModelLayout& layout);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_FOLDS_H_

// In whose convention a source's weights are quantised, and what may stand beside them.
#ifndef VERNIER_RECIPES_SOURCE_CONVENTION_H_
#define VERNIER_RECIPES_SOURCE_CONVENTION_H_

#include "checkpoint/source_model.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"

namespace vernier::recipes {

// Whether config.json keeps its native quantization_config: native weights stay quantised, or new
// FP8 blocks follow that convention.
bool StaysNative(const checkpoint::SourceModel& source, const Plan& plan);

// kBadRule when a weight that stays quantised and a converted one cannot be described to an engine
// by one config: other conventions than the plan's dialect, except native FP8 blocks and MXFP4
// beside native FP8 blocks, or in DeepSeek-V4 beside modelopt's NVFP4 with input scales (the
// hybrid that vLLM, SGLang and TensorRT-LLM load).
void CheckConventions(const checkpoint::SourceModel& source, const Plan& plan);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_SOURCE_CONVENTION_H_

// What engines demand of the sides of weights in FP8 blocks, on one device already.
#ifndef VERNIER_AUDIT_ENGINES_BLOCK_SIDES_H_
#define VERNIER_AUDIT_ENGINES_BLOCK_SIDES_H_

#include <string>

#include "audit/engine.h"
#include "audit/engines/runtime_module.h"
#include "audit/subject.h"

namespace vernier::audit {

// Why `engine` does not load `module`, which is stored in FP8 blocks: the blocks do not divide a
// side that has to be whole. Empty where it loads it, for other formats, and for DeepSeek-V4, whose
// code has the release's sizes anyway (C03). Sources: vLLM's
// validate_fp8_block_shape, of which SGLang has a copy (each part of a fused matrix but the last
// begins at a block), their experts (gate and up end at a block), and vLLM's
// ModelOptFp8PbWoLinearMethod (whole columns too, and parts are placed by blocks). TensorRT-LLM
// rounds up.
std::string OddBlockSides(Engine engine, const Subject& subject, const RuntimeModule& module);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_ENGINES_BLOCK_SIDES_H_

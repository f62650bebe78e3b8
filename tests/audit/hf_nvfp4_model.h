// Small models with Hugging Face's names in NVFP4 as ModelOpt and llm-compressor write them, to be
// corrupted by tests. Values are made up: only the audit reads them.
#ifndef VERNIER_TESTS_AUDIT_HF_NVFP4_MODEL_H_
#define VERNIER_TESTS_AUDIT_HF_NVFP4_MODEL_H_

#include <string>

#include "audit/subject.h"
#include "tests/audit/nvfp4_model.h"

namespace vernier::audit {

// Two layers of hidden size 128 and two heads, an MLP of 256; the head in BF16; in the modelopt
// dialect k_scale and v_scale.
ModelFiles MakeLlamaNvfp4(QuantDialect dialect);

// In the modelopt dialect: attention in BF16, four experts of width 64 a layer in NVFP4, routers.
ModelFiles MakeQwenMoeNvfp4();

// "model.layers.1.mlp.up_proj"
std::string HfModule(int layer, const std::string& name);

}  // namespace vernier::audit

#endif  // VERNIER_TESTS_AUDIT_HF_NVFP4_MODEL_H_

// A small model with Hugging Face's tensor names, for tests of plans and configs: only headers
// matter, and every byte is 0.
#ifndef VERNIER_TESTS_SUPPORT_HF_MODEL_H_
#define VERNIER_TESTS_SUPPORT_HF_MODEL_H_

#include <filesystem>

#include "checkpoint/source_model.h"

namespace vernier::testing {

// How the linear weights of attention, MLPs and experts are stored.
enum class HfFormat {
  kBf16,
  kNativeFp8,   // X.weight_scale_inv F32 per 128 x 128, quant_method "fp8"
  kModelopt,    // NVFP4, quant_method "modelopt", hf_quant_config.json
  kCompressed,  // FP8 blocks with X.weight_scale, quant_method "compressed-tensors"
};

struct HfOptions {
  HfFormat format = HfFormat::kBf16;
  bool tied_head = false;  // no lm_head.weight
  bool kv_scales = false;  // k_scale and v_scale of layer 0
};

// Writes the model into `directory` and opens it. Layer 0 is dense; layer 1 has a router, two
// experts and a shared expert; layer 2 is a BF16 multi-token-prediction layer of one projection.
// Linear weights are [256, 128] (down_proj [128, 256]), model_type "test_hf".
checkpoint::SourceModel MakeHfModel(const std::filesystem::path& directory,
                                    const HfOptions& options = {});

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_SUPPORT_HF_MODEL_H_

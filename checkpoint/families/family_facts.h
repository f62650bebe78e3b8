// Facts about a family, beside its tensors, that decide something elsewhere.
#ifndef VERNIER_CHECKPOINT_FAMILIES_FAMILY_FACTS_H_
#define VERNIER_CHECKPOINT_FAMILIES_FAMILY_FACTS_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "checkpoint/logical_weight.h"

namespace vernier::checkpoint {

// Which code of an engine reads the quantisation of a model.
enum class EngineCode {
  kCommon,      // that of the quant_method
  kDeepseekV4,  // the model's own: FP8 with E8M0 scales, beside experts of MXFP4 or NVFP4
};

// What engines' servers are told of this model beside its name, by engine.
struct ServingFlags {
  std::string_view vllm = {}, sglang = {}, trtllm = {};
};

struct FamilyFacts {
  // What `convert` gives fewer bits to where no recipe says otherwise.
  std::vector<Role> converted = {Role::kAttention, Role::kDenseMlp, Role::kSharedExpert,
                                 Role::kRoutedExpert};
  // Engines load NVFP4 weights beside those that stay in the release's own block FP8.
  bool nvfp4_beside_native = false;
  // MTP layers that checkpoints may hold without a number of them in config.json.
  int64_t unannounced_mtp_layers = 0;
  EngineCode engine_code = EngineCode::kCommon;
  ServingFlags serving = {};
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_FAMILY_FACTS_H_

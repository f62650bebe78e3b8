// What the configurations of a checkpoint say about the formats of its weights.
#ifndef VERNIER_CHECKPOINT_FORMAT_HINTS_H_
#define VERNIER_CHECKPOINT_FORMAT_HINTS_H_

#include <string>
#include <string_view>

#include "base/json.h"
#include "checkpoint/block_size.h"
#include "checkpoint/checkpoint.h"

namespace vernier::checkpoint {

inline constexpr std::string_view kQuantConfigFileName = "hf_quant_config.json";

// Where shapes and dtypes leave a choice, these decide it.
struct FormatHints {
  BlockSize fp8_block;
  std::string quant_method;         // "gptq"; empty: not said
  bool nvfp4_blocks_of_32 = false;  // a group_size of 32 beside NVFP4 (ModelOpt's W4A8_NVFP4_FP8)
};

// From config.json's quantisation config (config_facts.h) and, for the block size of NVFP4, from
// hf_quant_config.json. kBadConfig for a block size that is none, kBadJson for a file that is none.
FormatHints ReadFormatHints(const Checkpoint& checkpoint);

// Whether a quant_method is one whose weights Vernier reads, wherever their tensors are of a format
// that it knows. An empty one is.
bool ReadsQuantMethod(std::string_view quant_method);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FORMAT_HINTS_H_

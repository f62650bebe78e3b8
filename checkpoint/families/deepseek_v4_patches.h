// Brings a DeepSeek-V4 config.json into the released form that serving engines read.
#ifndef VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_PATCHES_H_
#define VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_PATCHES_H_

#include <vector>

#include "base/json.h"
#include "checkpoint/families/family.h"

namespace vernier::checkpoint {

// Undoes what saving with transformers 5 does to the config and adds what engines miss; returns
// what changed, which is nothing for a released config. Correspondence of the two forms:
// transformers, configuration_deepseek_v4.py.
//   layer_types + compress_rates        -> compress_ratios, with a 0 for each MTP layer
//   mlp_layer_types                     -> num_hash_layers
//   partial_rotary_factor               -> qk_rope_head_dim
//   rope_parameters or rope_scaling {main, compress}
//                                       -> rope_theta, compress_rope_theta, flat YaRN rope_scaling
//   FP4 experts, whose FP8 neighbours always have E8M0 scales
//                                       -> quantization_config.scale_fmt = "ue8m0"
// kBadConfig when a field that must be converted makes no sense.
std::vector<ConfigPatch> PatchDeepseekV4Config(Json& config);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_DEEPSEEK_V4_PATCHES_H_

// config.json and hf_quant_config.json of an output: what engines read of its quantisation.
#ifndef VERNIER_EXPORT_QUANT_CONFIG_H_
#define VERNIER_EXPORT_QUANT_CONFIG_H_

#include <string_view>
#include <vector>

#include "base/json.h"
#include "checkpoint/source_model.h"
#include "recipes/plan.h"

namespace vernier::exporter {

inline constexpr std::string_view kConfigFileName = "config.json";
inline constexpr std::string_view kHfQuantConfigFileName = "hf_quant_config.json";

struct OutputConfigs {
  Json config;           // config.json: the source's, with only what must change
  Json hf_quant_config;  // hf_quant_config.json; null when there is none
  std::vector<checkpoint::ConfigPatch> patches;  // what changed in config.json, and why
};

// The family's patches, and a quantization_config of one of these kinds:
// - nothing is converted, and nothing is said of the cache: the source's, with the source's
// hf_quant_config.json if it has one;
// - nothing is quantised any more: none;
// - native weights stay quantised beside converted ones (recipes/source_convention.h): the
//   source's, extended (ExtendNativeConfig);
// - otherwise a new one in the plan's dialect for all quantised weights, kept ones too. Only
//   modelopt has a hf_quant_config.json.
// expert_dtype, where the source has it, follows the routed experts: "fp8" for FP8 blocks, absent
// when they are neither FP4 nor FP8 blocks.
OutputConfigs MakeOutputConfigs(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                                std::string_view version);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_QUANT_CONFIG_H_

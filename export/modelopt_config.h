// config.json and hf_quant_config.json in ModelOpt's dialect, which serving engines read.
#ifndef VERNIER_EXPORT_MODELOPT_CONFIG_H_
#define VERNIER_EXPORT_MODELOPT_CONFIG_H_

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
  Json hf_quant_config;  // the same quantisation in nested form; null when nothing is quantised
  std::vector<checkpoint::ConfigPatch> patches;  // what changed in config.json, and why
};

// The source's quantization_config (FP8 blocks) is kept and extended: quant_method stays "fp8", by
// which engines choose their DeepSeek-V4 code, and moe_quant_algo "NVFP4" tells them about the
// experts. A source without one gets quant_method "modelopt".
//
// producer.name is "modelopt": it names the dialect. TensorRT-LLM takes a flat config for
// ModelOpt's only by that name or by quant_method (tensorrt_llm/quantization/modelopt_config.py),
// and its AutoDeploy reader refuses any other name; vLLM looks at it only in the nested form. Who
// wrote the files is in producer.version, "vernier-<version>".
//
// Layout of the fields: nvidia/DeepSeek-V4-Pro-NVFP4, config.json and hf_quant_config.json.
OutputConfigs MakeModeloptConfigs(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                                  std::string_view version);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_MODELOPT_CONFIG_H_

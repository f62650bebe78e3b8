// The quantisation config in ModelOpt's dialect.
#ifndef VERNIER_EXPORT_MODELOPT_CONFIG_H_
#define VERNIER_EXPORT_MODELOPT_CONFIG_H_

#include <string_view>

#include "base/json.h"
#include "checkpoint/source_model.h"
#include "export/quant_config_modules.h"

namespace vernier::exporter {

// One description in both of its forms.
struct ModeloptConfig {
  Json flat;    // config.json's quantization_config
  Json nested;  // hf_quant_config.json
};

// In both functions producer.name is "modelopt": it names the dialect. TensorRT-LLM takes a flat
// config for ModelOpt's only by that name or by quant_method
// (tensorrt_llm/quantization/modelopt_config.py), and its AutoDeploy reader refuses any other name;
// vLLM looks at it only in the nested form. Who wrote the files is in producer.version,
// "vernier-<version>".

// For a source whose native quantization_config (FP8 blocks) stays: `native` with what tells
// engines about the NVFP4 modules, which `formats` has at least one of. quant_method stays "fp8",
// by which engines choose their DeepSeek-V4 code, and moe_quant_algo "NVFP4" is for the experts.
// Layout of the fields: nvidia/DeepSeek-V4-Pro-NVFP4, config.json and hf_quant_config.json.
ModeloptConfig ExtendNativeConfig(const Json& native, const checkpoint::SourceModel& source,
                                  const ModuleFormats& formats, std::string_view version);

// `native` without the fields that ExtendNativeConfig adds: of a source that was extended before,
// and has no NVFP4 module any more.
Json WithoutExtension(Json native);

// From nothing, for `formats` with at least one quantised module. One format: its quant_algo
// (NVFP4, W4A16_NVFP4, FP8, FP8_PER_CHANNEL_PER_TOKEN, MXFP8, and in lower case, as ModelOpt writes
// them and vLLM and TensorRT-LLM read them, fp8_pb_wo and mxfp4). Several: MIXED_PRECISION with
// quantized_layers. `fp8_kv_cache`: announces one. Layout of the fields: ModelOpt, quant_utils.py
// and convert_hf_config.py.
ModeloptConfig MakeModeloptConfig(const checkpoint::SourceModel& source,
                                  const ModuleFormats& formats, bool fp8_kv_cache,
                                  std::string_view version);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_MODELOPT_CONFIG_H_

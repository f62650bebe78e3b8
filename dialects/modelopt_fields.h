// Fields of ModelOpt's configurations, which other dialects' are extended with too.
#ifndef VERNIER_DIALECTS_MODELOPT_FIELDS_H_
#define VERNIER_DIALECTS_MODELOPT_FIELDS_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "checkpoint/kv_cache_format.h"
#include "dialects/module_formats.h"

namespace vernier::dialects {

inline constexpr std::string_view kModeloptMixedAlgo = "MIXED_PRECISION";
inline constexpr std::string_view kNvfp4CacheAlgo = "NVFP4";

// quant_algo of a module.
std::string_view ModeloptAlgo(const ModuleFormat& module);

// Columns that share a scale, for the formats whose config says so; 0 otherwise.
int64_t ModeloptGroupSize(const ModuleFormat& module);

// weights or input_activations of a config group; group_size 0: not said.
Json ModeloptOperand(int bits, int64_t group_size);

// quantized_layers: the quantised modules, a layer's experts once.
Json ModeloptLayers(const checkpoint::ModelLayout& layout, const ModuleFormats& formats);

// Which modules are quantised, for IgnorePatterns.
std::vector<bool> QuantisedFlags(const ModuleFormats& formats);

// producer.name is "modelopt": it names the dialect. TensorRT-LLM takes a flat config for
// ModelOpt's only by that name or by quant_method (tensorrt_llm/quantization/modelopt_config.py),
// and its AutoDeploy reader refuses any other name; vLLM looks at it only in the nested form. Who
// wrote the files is in producer.version, "vernier-<version>".
Json ModeloptProducer(std::string_view version);

// What both forms of one configuration have in common: config.json's flat one, and
// hf_quant_config.json's nested one.
struct ModeloptFields {
  std::string_view algo;
  int64_t group_size = 0;  // 0: not said
  Json layers = nullptr;   // null unless mixed
  Json ignore;
  Json producer;
  checkpoint::KvCacheFormat kv_cache = checkpoint::KvCacheFormat::kModel;
};
Json ModeloptNestedForm(const ModeloptFields& fields);

}  // namespace vernier::dialects

#endif  // VERNIER_DIALECTS_MODELOPT_FIELDS_H_

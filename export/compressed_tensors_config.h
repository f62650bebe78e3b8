// The quantisation config in compressed-tensors' dialect, which vLLM, SGLang and transformers read.
#ifndef VERNIER_EXPORT_COMPRESSED_TENSORS_CONFIG_H_
#define VERNIER_EXPORT_COMPRESSED_TENSORS_CONFIG_H_

#include "base/json.h"
#include "checkpoint/source_model.h"
#include "export/quant_config_modules.h"

namespace vernier::exporter {

// config.json's quantization_config for `formats` with at least one quantised module: a group per
// format, keys sorted as the library writes them. One group targets every "Linear" that "ignore"
// does not name; of several each names its modules, because readers resolve overlapping groups
// differently. "ignore" has the full names of all linear layers that are not quantised, routers
// included. `fp8_kv_cache`: kv_cache_scheme announces one. Fields and values: compressed-tensors
// 0.18, quant_scheme.py (presets NVFP4, NVFP4A16, MXFP4, MXFP8, FP8, FP8_DYNAMIC, FP8_BLOCK, W4A16)
// and quant_config.py.
Json MakeCompressedTensorsConfig(const checkpoint::SourceModel& source,
                                 const ModuleFormats& formats, bool fp8_kv_cache);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_COMPRESSED_TENSORS_CONFIG_H_

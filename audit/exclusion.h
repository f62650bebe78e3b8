// How the engines decide, from the exclusion patterns, that a module is not quantised. They differ,
// and a checkpoint must come out the same under all of them.
#ifndef VERNIER_AUDIT_EXCLUSION_H_
#define VERNIER_AUDIT_EXCLUSION_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vernier::audit {

// vLLM (modelopt.py is_layer_excluded): equal, substring, or glob; a pattern "abc*" with no dot
// before the star also stands for "abc" and "abc.*".
bool ExcludedByVllm(std::span<const std::string> patterns, std::string_view module);

// SGLang (modelopt_quant.py): the glob matches the whole name or any one of its dotted parts.
bool ExcludedBySglang(std::span<const std::string> patterns, std::string_view module);

// TensorRT-LLM (QuantConfig.is_module_excluded_from_quantization): the glob matches the whole name.
bool ExcludedByTensorRtLlm(std::span<const std::string> patterns, std::string_view module);

// Names of the engines that exclude `module`.
std::vector<std::string> EnginesExcluding(std::span<const std::string> patterns,
                                          std::string_view module);
// Of all engines.
std::vector<std::string> EngineNames();

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_EXCLUSION_H_

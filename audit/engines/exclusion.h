// How the engines decide, from a configuration's list, that a module is not quantised. They differ,
// and a checkpoint must come out the same under all of them.
#ifndef VERNIER_AUDIT_ENGINES_EXCLUSION_H_
#define VERNIER_AUDIT_ENGINES_EXCLUSION_H_

#include <span>
#include <string>

#include "audit/engine.h"
#include "audit/engines/runtime_module.h"
#include "audit/name_pattern.h"

namespace vernier::audit {

struct Exclusion {
  bool excluded = false;
  std::string pattern;  // the first that decided it
  std::string error;    // why the engine fails instead of deciding; empty: it decides
};

// - vLLM 0.33 (modelopt.py is_layer_excluded, quant_utils.py is_layer_skipped): first exact names,
//   where a fused matrix must have all of its members listed or none, and experts are left out
//   together as soon as an entry begins with their module's name; then any substring; then globs,
//   of which "abc*" with no dot before the star also stands for "abc" and "abc.*".
// - SGLang 0.5.23 (modelopt_quant.py is_layer_excluded, utils.py is_layer_skipped): a linear layer
//   is first tested for an entry that stands in its name between dots, of q, k, v and gate, up for
//   all members or none; then the glob matches the whole name or any one dotted part, or, for the
//   parts of MLA's projections, the last part of a pattern is contained in the name's last part,
//   whatever the layer.
// - TensorRT-LLM (models/modeling_utils.py is_module_excluded_from_quantization and
//   apply_quant_config_exclude_modules): the glob, or a "re:" pattern, matches the whole name or
//   that of a module around it; "abc.*" also stands for "abc"; a fused matrix is left out when one
//   member is.
Exclusion FindExclusion(Engine engine, std::span<const NamePattern> patterns,
                        const RuntimeModule& module);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_ENGINES_EXCLUSION_H_

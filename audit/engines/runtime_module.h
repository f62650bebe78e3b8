// The modules that engines build out of a checkpoint's: projections of one input become one matrix,
// and all experts of a layer one module.
#ifndef VERNIER_AUDIT_ENGINES_RUNTIME_MODULE_H_
#define VERNIER_AUDIT_ENGINES_RUNTIME_MODULE_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/modules.h"
#include "audit/subject.h"

namespace vernier::audit {

// "q_proj" of "model.layers.0.self_attn.q_proj".
inline std::string_view LeafOf(std::string_view name) { return name.substr(name.rfind('.') + 1); }

enum class ModuleKind { kLinear, kExperts, kLmHead };

struct RuntimeModule {
  // "model.layers.0.self_attn.qkv_proj", "model.layers.0.mlp.experts"; with the checkpoint's own
  // prefix, as the matchers of exclusion patterns see it.
  std::string name;
  ModuleKind kind = ModuleKind::kLinear;
  std::vector<const Module*> members;  // of one matrix: in the order of their rows
  bool is_mtp = false;

  bool is_fused() const { return kind == ModuleKind::kLinear && members.size() > 1; }
  // What all members are stored in; nothing when they differ.
  std::optional<StoredFormat> Stored() const;
};

// Everything that engines build with a quantisation method, whatever its name: linear layers,
// stacks of experts, and quantised weights, in order of their first members. Routers, compressors
// and the small projections of an indexer are built unquantised unless they are stored quantised.
std::vector<RuntimeModule> BuildRuntimeModules(const Subject& subject);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_ENGINES_RUNTIME_MODULE_H_

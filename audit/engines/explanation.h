// What the engines decide about single modules, and why.
#ifndef VERNIER_AUDIT_ENGINES_EXPLANATION_H_
#define VERNIER_AUDIT_ENGINES_EXPLANATION_H_

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "audit/engine.h"
#include "audit/engines/engine_reader.h"
#include "audit/subject.h"
#include "base/json.h"

namespace vernier::audit {

// "nvfp4", "unquantised", "fails" or "unknown".
std::string BuiltAs(const Decision& decision);
// Whether a module that is stored in `stored` is read as it is.
bool Agrees(const Decision& decision, StoredFormat stored);

struct EngineDecision {
  Engine engine = Engine::kVllm;
  std::string built;   // as BuiltAs says
  std::string reason;  // 'excluded by "lm_head"'
  bool agrees = true;  // with what is stored
};

struct ModuleExplanation {
  std::string name;                  // of what engines build: "model.layers.0.self_attn.qkv_proj"
  std::vector<std::string> members;  // the checkpoint's modules in it
  std::string stored;                // their format, or "mixed"
  std::vector<EngineDecision> decisions;
};

// Every module that the engines would build and whose name, or the name of a member of which,
// matches `glob`. An engine that refuses the configuration decides "fails". Headers only; throws
// as Validate does, and what else keeps a checkpoint from being opened.
std::vector<ModuleExplanation> ExplainModules(const std::filesystem::path& directory,
                                              const EnginesAsked& engines, std::string_view glob);

std::string ExplanationText(std::span<const ModuleExplanation> modules);
Json ExplanationJson(std::span<const ModuleExplanation> modules);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_ENGINES_EXPLANATION_H_

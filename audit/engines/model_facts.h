// What engines' code does for single models, whatever the family here makes of them.
#ifndef VERNIER_AUDIT_ENGINES_MODEL_FACTS_H_
#define VERNIER_AUDIT_ENGINES_MODEL_FACTS_H_

#include <array>
#include <optional>
#include <string_view>

#include "audit/engine.h"
#include "base/json.h"

namespace vernier::audit {

struct EngineModelFacts {
  // Engines that load the experts from stacks in NVFP4; nothing of a model about which nobody here
  // knows.
  std::optional<EngineSet> loaders_of_stacks = std::nullopt;
  // Beginnings of the modules that engines give no quantisation configuration in
  // compressed-tensors' dialect; empty texts are none.
  std::array<std::string_view, 2> plain_prefixes = {};
};

// By the model_type of config.json, as engines choose their code.
EngineModelFacts FactsOfModel(const Json& config);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_ENGINES_MODEL_FACTS_H_

// A module's facts as JSON, for the journal (docs/audit.md).
#ifndef VERNIER_AUDIT_FACTS_JSON_H_
#define VERNIER_AUDIT_FACTS_JSON_H_

#include <string_view>

#include "audit/module_facts.h"
#include "base/json.h"
#include "checkpoint/checkpoint.h"

namespace vernier::audit {

// Tensors by name. Numbers come back from their JSON text bit for bit.
Json FactsJson(const checkpoint::Checkpoint& checkpoint, const ModuleFacts& facts);

// The inverse; kBadJson naming `origin` for anything that FactsJson does not make.
ModuleFacts FactsFromJson(const checkpoint::Checkpoint& checkpoint, const Json& json,
                          std::string_view origin);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_FACTS_JSON_H_

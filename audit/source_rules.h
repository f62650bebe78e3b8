// A checkpoint against the source that it was made from: what headers say, and carried bytes.
#ifndef VERNIER_AUDIT_SOURCE_RULES_H_
#define VERNIER_AUDIT_SOURCE_RULES_H_

#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "audit/manifest_facts.h"
#include "audit/module_facts.h"
#include "audit/report.h"
#include "audit/subject.h"

namespace vernier::audit {

// A stack of experts of one side that the other side holds one by one, all as modules.
struct Restacked {
  bool is_own = false;  // the checkpoint has the stack; otherwise the source
  size_t stack = 0;
  std::vector<size_t> experts;  // their matrices
};

// What the names, dtypes and shapes of both say; indices into the two checkpoints' tensors.
struct SourceMatch {
  std::vector<std::pair<size_t, size_t>> carried;    // (tensor, source tensor) to be byte-equal
  std::vector<std::pair<size_t, size_t>> converted;  // (module, source module) stored otherwise
  std::set<size_t> retyped;          // of the converted modules, those with just another dtype
  std::vector<Restacked> restacked;  // is neither carried nor converted
};

// Accounts for every source tensor (C01): carried, converted, stacked or unstacked (SlicesOf), or
// among `dropped`, the names that the manifest lists so; and for every tensor that the source does
// not explain. What is rescaled is converted, whatever it is stored as.
SourceMatch MatchSource(const Subject& subject, const Subject& source,
                        const std::set<std::string>& dropped, const Rescalings& rescalings,
                        FindingList* findings);

// Names the carried tensors whose bytes differ (C02); returns how many are equal. `facts` by
// module.
int64_t CheckCarried(const Subject& subject, const SourceMatch& match,
                     std::span<const ModuleFacts> facts, FindingList* findings);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_SOURCE_RULES_H_

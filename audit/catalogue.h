// The rules of the audit, for people who look one up.
#ifndef VERNIER_AUDIT_CATALOGUE_H_
#define VERNIER_AUDIT_CATALOGUE_H_

#include <span>
#include <string_view>

namespace vernier::audit {

struct Rule {
  std::string_view id;         // stable: never given to another rule
  std::string_view demands;    // what must be so, without final stop
  std::string_view otherwise;  // what happens when it is not
};

// V: what engines make of a checkpoint; B: bytes; C: completeness; S: statistics;
// J: the audit itself. In order of ids.
std::span<const Rule> AllRules();

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_CATALOGUE_H_

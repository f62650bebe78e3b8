// What an export changed in config.json.
#ifndef VERNIER_AUDIT_CONFIG_CHANGES_H_
#define VERNIER_AUDIT_CONFIG_CHANGES_H_

#include <string>
#include <unordered_map>
#include <vector>

#include "audit/report.h"
#include "base/json.h"

namespace vernier::audit {

// The deepest values in which two JSON objects differ, as JSON pointers (RFC 6901) in the order of
// `before`, what only `after` has behind it. Arrays are compared as one value, and so is a value
// that is an object in one of the two only; numbers of equal value are equal. `reasons` says why,
// by JSON pointer: that of the value itself or else of the nearest value around it.
std::vector<ConfigChange> ConfigChanges(
    const Json& before, const Json& after,
    const std::unordered_map<std::string, std::string>& reasons);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_CONFIG_CHANGES_H_

#include "audit/config_changes.h"

namespace vernier::audit {
namespace {

using Reasons = std::unordered_map<std::string, std::string>;

std::string EscapedToken(const std::string& key) {
  std::string token;
  for (const char c : key) {
    if (c == '~') {
      token += "~0";
    } else if (c == '/') {
      token += "~1";
    } else {
      token += c;
    }
  }
  return token;
}

std::string ReasonOf(const Reasons& reasons, std::string path) {
  while (!path.empty()) {
    const auto found = reasons.find(path);
    if (found != reasons.end()) return found->second;
    path.resize(path.rfind('/'));
  }
  return {};
}

void Compare(const Json& before, const Json& after, const std::string& path, const Reasons& reasons,
             std::vector<ConfigChange>* changes) {
  if (!before.is_object() || !after.is_object()) {
    if (before != after) changes->push_back({path, before, after, ReasonOf(reasons, path)});
    return;
  }
  const Json absent;
  for (const auto& [key, value] : before.items()) {
    const auto found = after.find(key);
    Compare(value, found == after.end() ? absent : *found, path + "/" + EscapedToken(key), reasons,
            changes);
  }
  for (const auto& [key, value] : after.items()) {
    if (before.contains(key)) continue;
    Compare(absent, value, path + "/" + EscapedToken(key), reasons, changes);
  }
}

}  // namespace

std::vector<ConfigChange> ConfigChanges(const Json& before, const Json& after,
                                        const Reasons& reasons) {
  std::vector<ConfigChange> changes;
  Compare(before, after, "", reasons, &changes);
  return changes;
}

}  // namespace vernier::audit

// What an audit asks vernier_manifest.json, which an export writes beside its checkpoint.
#ifndef VERNIER_AUDIT_MANIFEST_FACTS_H_
#define VERNIER_AUDIT_MANIFEST_FACTS_H_

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "audit/report.h"
#include "audit/subject.h"

namespace vernier::audit {

// docs/manifest.md says what the fields mean.
struct ManifestFacts {
  bool present = false;
  std::set<std::string> dropped;                                // names of source tensors
  std::unordered_map<std::string, std::string> config_reasons;  // by JSON pointer
  std::unordered_map<std::string, int64_t> tokens;  // by module, where inputs were observed
};

// Of a directory without a manifest all empty. kBadJson where a field is not as documented.
ManifestFacts ReadManifestFacts(const std::filesystem::path& directory);

// By layer: the tokens of each routed expert's first projection (w1 or gate_proj), of layers whose
// experts have all been observed or counted.
std::vector<ExpertTokens> ExpertTokensOf(const Subject& subject, const ManifestFacts& manifest);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_MANIFEST_FACTS_H_

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
#include "checkpoint/families/fold.h"
#include "checkpoint/rescaling.h"

namespace vernier::audit {

// Factors per channel that moved from the modules that make an input into those that read it.
struct FoldFacts {
  checkpoint::Fold channels;  // which column belongs to which
  std::vector<std::string> producers, consumers;
  uint64_t offset = 0;  // of its factors in vernier_folds.f32
};

// docs/manifest.md says what the fields mean.
struct ManifestFacts {
  bool present = false;
  std::set<std::string> dropped;                                // names of source tensors
  std::unordered_map<std::string, std::string> config_reasons;  // by JSON pointer
  std::unordered_map<std::string, int64_t> tokens;  // by module, where inputs were observed
  std::vector<FoldFacts> folds;                     // of factors that are not all 1
};

// Of a directory without a manifest all empty. kBadJson where a field is not as documented.
ManifestFacts ReadManifestFacts(const std::filesystem::path& directory);

// By module: what folds made of the source's values. kBadJson where the file of factors does not
// hold them.
using Rescalings = std::unordered_map<std::string, checkpoint::Rescaling>;
Rescalings ReadRescalings(const std::filesystem::path& directory, const ManifestFacts& manifest);

// By layer: the tokens of each routed expert's first projection (w1 or gate_proj), of layers whose
// experts have all been observed or counted.
std::vector<ExpertTokens> ExpertTokensOf(const Subject& subject, const ManifestFacts& manifest);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_MANIFEST_FACTS_H_

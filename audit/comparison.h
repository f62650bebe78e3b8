// A source and what of a checkpoint is to be compared with it.
#ifndef VERNIER_AUDIT_COMPARISON_H_
#define VERNIER_AUDIT_COMPARISON_H_

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "audit/manifest_facts.h"
#include "audit/report.h"
#include "audit/source_rules.h"
#include "audit/subject.h"
#include "checkpoint/model_layout.h"

namespace vernier::audit {

// A converted weight and what it was made from, as indices into the layouts' weights.
struct WeightPair {
  size_t own = 0;
  size_t source = 0;
};

struct Comparison {
  Subject source;
  SourceMatch match;
  std::vector<size_t> carried_from = {};  // by tensor: the source's, kAbsent where none is carried
  checkpoint::ModelLayout layout = {};
  checkpoint::ModelLayout source_layout = {};
  std::unordered_map<size_t, WeightPair> pairs = {};  // by module: the converted weights to compare
  Rescalings rescalings = {};                         // by name of the module

  // What became of the source's values before they were stored.
  const checkpoint::Rescaling& RescalingOf(const std::string& module) const;
};

// Opens the source and matches it with the checkpoint (C01, C02), whose manifest is given. Nothing,
// and a finding, when the source cannot be opened; throws as OpenSubject does. A defect of one
// weight, here or there, keeps no other from being compared.
std::optional<Comparison> OpenComparison(const Subject& subject,
                                         const std::filesystem::path& directory,
                                         const ManifestFacts& manifest, FindingList* findings);

// Dimensions against config.json (C03), with the reader that calibration and export use. Only where
// formats are right: the rules say more than the reader's first complaint.
void CheckReadable(const Subject& subject, FindingList* findings);

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_COMPARISON_H_
